// The page of cards: what a button names is printed alone. Without scripts the whole page prints.
(() => {
  "use strict";
  const all = (selector) => [...document.querySelectorAll(selector)];
  const chosen = {
    sheet: () => all("#score-sheet"),
    alone: (button) => [button.closest(".pair-card")],
    set: (button) => {
      const { card } = button.closest(".pair-card").dataset;
      return [...all("#score-sheet"), ...all(`.pair-card[data-card="${card}"]`)];
    },
  };
  function print(button) {
    forget();
    document.documentElement.classList.add("prints-some");
    for (const part of chosen[button.dataset.print](button)) part.classList.add("printed");
    window.print();
  }
  function forget() {
    for (const part of all(".prints-some, .printed")) part.classList.remove("prints-some", "printed");
  }
  for (const button of all("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print(button));
  }
  addEventListener("afterprint", forget);
})();
