// The practice page: find, rehearse, mock interview. Progress stays in this browser.
// The bank and the rubric come from questions.js; every view and filter stands in the address after the #.
function begin() {
  "use strict";
  const { questions, rubric } = window.course;
  const byName = new Map(questions.map((q) => [q.name, q]));
  const DIMENSIONS = rubric.dimensions.map((d) => d.name);

  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  /** An element with attributes (`on…` are listeners, `html` is its content) and children. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "html") element.innerHTML = value;
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child != null));
    return element;
  }
  const fill = (stage, ...children) => stage.replaceChildren(...children.flat().filter((child) => child != null));
  const button = (label, act, attributes = {}) => make("button", { type: "button", onclick: act, ...attributes }, label);
  const fold = (heading, content, attributes = {}) =>
    make("details", attributes, make("summary", {}, heading), typeof content === "string" ? make("div", { html: content }) : content);

  // ---- what is kept ------------------------------------------------------------------------------------------

  const KEY = "mastering-mlops.practice";
  const ASIDE = KEY + ".unreadable";
  const VERSION = 1;
  const QUALITY = { failed: 2, hard: 3, good: 4, easy: 5 }; // of SM-2's six grades, those one can tell apart
  const isDate = (text) => typeof text === "string" && /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isCount = (number) => Number.isInteger(number) && number >= 0;

  function isCard(card) {
    return (
      card && card.rating in QUALITY && isCount(card.repetitions) && isCount(card.interval) &&
      card.easiness >= 1.3 && card.easiness <= 10 && isDate(card.due) && !Number.isNaN(Date.parse(card.at))
    );
  }

  const isScore = (score) => [0, 1, 2, 3].includes(score);
  function isMock(mock) {
    return (
      mock && mock.level in rubric.bars && [20, 40, 60].includes(mock.minutes) && typeof mock.seed === "string" &&
      Number.isFinite(mock.began) && isCount(mock.step) && Array.isArray(mock.answers) &&
      mock.answers.every(
        (a) => a && byName.has(a.name) && isCount(a.followUps) && Array.isArray(a.caps) && a.scores &&
          Object.values(a.scores).every(isScore)
      )
    );
  }

  /** Whatever can be kept of `found`; `lost` counts what could not. Unknown questions stay: they may come back. */
  function salvage(found) {
    const kept = { version: VERSION, cards: {}, mock: null };
    let lost = 0;
    const cards = found && typeof found.cards === "object" && found.cards ? found.cards : {};
    for (const [name, card] of Object.entries(cards)) {
      if (isCard(card)) kept.cards[name] = card;
      else lost += 1;
    }
    if (found && found.mock) {
      if (isMock(found.mock)) kept.mock = found.mock;
      else lost += 1;
    }
    return { kept, lost };
  }

  let store = salvage(null).kept;
  let mayWrite = true;

  function notify(text) {
    const line = one(".notice");
    line.textContent = text;
    line.hidden = !text;
  }

  function load() {
    let text = null;
    try {
      text = localStorage.getItem(KEY);
    } catch {
      mayWrite = false;
      return notify("This browser keeps nothing for this page, so progress ends with it. Export it before you leave.");
    }
    if (text === null) {
      store = salvage(null).kept;
      return;
    }
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      localStorage.setItem(ASIDE, text);
      localStorage.removeItem(KEY);
      return notify("Your saved progress could not be read. It was put aside, not erased: Export includes it.");
    }
    const { kept, lost } = salvage(found);
    store = kept;
    if (found && found.version > VERSION) {
      mayWrite = false;
      notify("Your progress was saved by a newer edition of this page. It is shown as far as this one understands it, and not changed.");
    } else if (lost || !found || found.version !== VERSION) {
      localStorage.setItem(ASIDE, text);
      save();
      const what = lost ? `${lost} of its entries could not be read and were put aside` : "it was brought up to date";
      notify(`Your progress was saved in another form: ${what}. Nothing was erased.`);
    }
  }

  function save() {
    if (mayWrite) localStorage.setItem(KEY, JSON.stringify(store));
  }

  // ---- the schedule: SM-2 --------------------------------------------------------------------------------------

  function day(shift = 0) {
    const now = new Date();
    now.setDate(now.getDate() + shift);
    return [now.getFullYear(), String(now.getMonth() + 1).padStart(2, "0"), String(now.getDate()).padStart(2, "0")].join("-");
  }

  /** The card after a rating. A failed one begins again and keeps its easiness; intervals are days, rounded up. */
  function rated(card, rating) {
    const { repetitions = 0, interval = 0, easiness = 2.5 } = card || {};
    const miss = 5 - QUALITY[rating];
    const failed = rating === "failed";
    const easier = failed ? easiness : Math.max(1.3, easiness + 0.1 - miss * (0.08 + miss * 0.02));
    const repeated = failed ? 0 : repetitions + 1;
    const next = repeated < 2 ? 1 : repeated === 2 ? 6 : Math.ceil(interval * easier);
    return { rating, repetitions: repeated, interval: next, easiness: easier, due: day(next), at: new Date().toISOString() };
  }

  const isDue = (q) => q.name in store.cards && store.cards[q.name].due <= day();

  // ---- the address ---------------------------------------------------------------------------------------------

  const VIEWS = ["find", "rehearse", "mock", "progress"];
  const FILTERS = ["text", "section", "level", "kind", "evidence", "rating", "due"];

  function address() {
    const [view, query] = location.hash.slice(1).split("?");
    return { view: VIEWS.includes(view) ? view : "find", query: new URLSearchParams(query || "") };
  }

  function toAddress(view, entries) {
    const query = new URLSearchParams(Object.entries(entries).filter(([, value]) => value)).toString();
    return "#" + view + (query ? "?" + query : "");
  }

  // ---- find ----------------------------------------------------------------------------------------------------

  const plain = (html) => make("div", { html }).textContent;
  const haystack = new Map();
  function textOf(q) {
    if (!haystack.has(q.name)) {
      const said = [...Object.values(q.answers), ...q.follow_ups.map((f) => f.question)].map(plain);
      haystack.set(q.name, [q.question, plain(q.situation), q.covers.join(" "), ...said].join(" ").toLowerCase());
    }
    return haystack.get(q.name);
  }

  function chosen(filters) {
    const words = (filters.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    return questions.filter((q) => {
      const card = store.cards[q.name];
      return (
        (!filters.section || q.section.name === filters.section) &&
        (!filters.level || q.level === filters.level) &&
        (!filters.kind || q.kind === filters.kind) &&
        (!filters.evidence || (q.labs.length > 0) === (filters.evidence === "lab")) &&
        (!filters.rating || (card ? card.rating : "none") === filters.rating) &&
        (!filters.due || isDue(q)) &&
        words.every((word) => textOf(q).includes(word))
      );
    });
  }

  const form = one("form.filters");
  const items = new Map(all("li[data-name]").map((item) => [item.dataset.name, item]));

  function filtersOf(query) {
    return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) || ""]));
  }

  function find(query) {
    const filters = filtersOf(query);
    for (const name of FILTERS) if (form.elements[name].value !== filters[name]) form.elements[name].value = filters[name];
    const shown = new Set(chosen(filters).map((q) => q.name));
    for (const [name, item] of items) item.hidden = !shown.has(name);
    for (const section of all("section.asked")) section.hidden = !one("li:not([hidden])", section);
    const due = questions.filter(isDue).length;
    one(".count").textContent = `${shown.size} of ${questions.length} questions` + (due ? `, ${due} due today` : "");
  }

  function filtersChanged() {
    const filters = Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()]));
    history.replaceState(null, "", toAddress("find", filters));
    find(address().query);
    pointViews();
  }

  // ---- a question on the screen --------------------------------------------------------------------------------

  function ask(q) {
    return [
      make("h3", { tabindex: "-1", html: q.question_html }),
      make("p", { class: "page-facts" }, `${q.kind} · decides at ${q.level} · ${q.minutes} minutes · `,
        make("a", { href: q.url }, "in the book")),
      q.situation ? make("div", { class: "situation", html: q.situation }) : null,
    ];
  }

  function answersOf(q) {
    return make("div", { class: "answers" },
      Object.entries(q.answers).map(([level, html]) =>
        fold(level[0].toUpperCase() + level.slice(1) + (level === q.level ? " · decides here" : ""), html)));
  }

  const workedOf = (q) => (q.worked ? fold("Worked out", q.worked) : null);

  function flagsOf(q) {
    return fold("Red flags", make("div", {}, q.red_flags.map((flag) => [
      make("p", { class: "said", html: flag.says }), make("div", { html: flag.misconception })])));
  }

  /** A clock that runs when it is told to: seconds come from `elapsed`, the bound is in minutes. */
  let ticking = null;
  function clock(elapsed, minutes) {
    const face = make("span", { role: "timer", class: "clock" });
    const show = () => {
      const seconds = Math.max(0, Math.floor(elapsed()));
      face.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} of ${minutes}:00`;
      face.classList.toggle("over", seconds > minutes * 60);
    };
    show();
    clearInterval(ticking);
    ticking = setInterval(show, 500);
    return face;
  }

  // ---- rehearse ------------------------------------------------------------------------------------------------

  const rehearsal = one("[data-view=rehearse] .stage");

  function rehearse(query) {
    const pool = chosen(filtersOf(query));
    const due = pool.filter(isDue).sort((a, b) => store.cards[a.name].due.localeCompare(store.cards[b.name].due));
    const fresh = pool.filter((q) => !(q.name in store.cards));
    const q = due[0] || fresh[0];
    if (q) return rehearseOne(q, `${due.length} due, ${fresh.length} new`, query);
    const coming = pool.map((other) => store.cards[other.name].due).sort()[0];
    fill(rehearsal, make("p", { tabindex: "-1" },
      coming ? `Nothing is due. The next question comes back on ${coming}.` : "No question fits your filters: change them under Find."));
  }

  function rehearseOne(q, left, query) {
    let began = null;
    const time = clock(() => (began === null ? 0 : (Date.now() - began) / 1000), q.minutes);
    const speak = button("Speak", () => {
      began = Date.now();
      speak.disabled = true;
    });
    const behind = make("div", { hidden: true },
      fold("What the interviewer listens for", q.listens_for, { open: true }),
      answersOf(q),
      workedOf(q) || "",
      fold("Follow-ups", make("div", {}, q.follow_ups.map((f) => [
        make("p", { class: "said", html: f.question }), make("div", { html: f.reply })]))),
      flagsOf(q),
      make("fieldset", { class: "buttons" }, make("legend", {}, "How did it go?"),
        Object.keys(QUALITY).map((rating) => {
          const { interval } = rated(store.cards[q.name], rating);
          return button(`${rating} · ${interval === 1 ? "tomorrow" : `in ${interval} days`}`, () => {
            store.cards[q.name] = rated(store.cards[q.name], rating);
            save();
            rehearse(query);
            one("[tabindex]", rehearsal).focus();
          }, { "data-rating": rating });
        })));
    const reveal = button("Reveal", () => {
      clearInterval(ticking);
      behind.hidden = false;
      reveal.disabled = speak.disabled = true;
      one("summary", behind).focus();
    });
    fill(rehearsal, make("p", { class: "count" }, left), ask(q),
      make("p", { class: "buttons" }, speak, reveal, time), behind);
  }

  // ---- mock interview ------------------------------------------------------------------------------------------

  const LOOPS = {
    20: ["deep-dive", "incident", "quick-fire"],
    40: ["deep-dive", "design", "incident", "quick-fire"],
    60: ["deep-dive", "design", "incident", "hands-on", "quick-fire"],
  };

  /** Numbers from 0 to 1, the same for the same text (FNV-1a, then mulberry32). */
  function seeded(text) {
    let state = 2166136261;
    for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  /** The questions of a loop: its kinds in order, no subject twice, within the time, at the level where there is a choice. */
  function draw(level, minutes, seed) {
    const random = seeded(`${level} ${minutes} ${seed}`);
    const bank = [...questions].sort((a, b) => (a.name < b.name ? -1 : 1));
    const loop = [];
    let left = minutes;
    const pick = (fits) => {
      const free = bank.filter((q) => fits(q) && q.minutes <= left && loop.every((other) => other.covers[0] !== q.covers[0]));
      const decides = free.filter((q) => q.level === level);
      const pool = decides.length ? decides : free;
      if (!pool.length) return false;
      const q = pool[Math.floor(random() * pool.length)];
      loop.push(q);
      left -= q.minutes;
      return true;
    };
    for (const kind of LOOPS[minutes]) pick((q) => q.kind === kind);
    while (pick((q) => q.kind !== "design"));
    return loop;
  }

  const interview = one("[data-view=mock] .stage");
  const setup = one("form.setup");
  const begins = () => Math.random().toString(36).slice(2, 8);

  function mock(query) {
    const level = query.get("level"), minutes = Number(query.get("minutes")), seed = query.get("seed");
    if (!(level in rubric.bars) || !(minutes in LOOPS) || !/^[\w-]{1,32}$/.test(seed || "")) {
      setup.hidden = false;
      setup.elements.seed.value = begins();
      const open = store.mock && store.mock.step < store.mock.answers.length;
      const { level, minutes, seed } = store.mock || {};
      return fill(interview, open
        ? make("p", {}, make("a", { href: toAddress("mock", { level, minutes, seed }) }, "Go on with the interview you began"))
        : null);
    }
    setup.hidden = true;
    const current = store.mock;
    if (!current || current.level !== level || current.minutes !== minutes || current.seed !== seed) {
      const answers = draw(level, minutes, seed).map((q) => ({ name: q.name, followUps: 0, scores: {}, caps: [] }));
      store.mock = { level, minutes, seed, began: Date.now(), step: 0, answers };
      save();
    }
    showMock();
  }

  function go(step) {
    store.mock.step = step;
    save();
    showMock();
    one("[tabindex]", interview).focus();
  }

  function showMock() {
    const { answers, step, minutes, began } = store.mock;
    if (step >= answers.length) return summarise();
    const answer = answers[step];
    const q = byName.get(answer.name);
    const asked = make("div", { class: "asked-further", "aria-live": "polite" });
    const further = button("Ask a follow-up", () => {
      answer.followUps += 1;
      save();
      showFollowUps();
    });
    function showFollowUps() {
      asked.replaceChildren(...q.follow_ups.slice(0, answer.followUps).map((f) =>
        make("div", { class: "follow-up" }, make("p", { class: "said", html: f.question }), fold("A good reply", f.reply))));
      further.disabled = answer.followUps >= q.follow_ups.length;
    }
    showFollowUps();
    fill(interview,
      make("p", { class: "count" }, `Question ${step + 1} of ${answers.length} · `, clock(() => (Date.now() - began) / 1000, minutes)),
      ask(q),
      make("p", { class: "buttons" }, further),
      asked,
      fold("For the interviewer", make("div", {}, make("div", { html: q.listens_for }), flagsOf(q), answersOf(q), workedOf(q) || "")),
      scores(answer),
      make("p", { class: "buttons" },
        step ? button("Back", () => go(step - 1)) : null,
        button(step + 1 < answers.length ? "Next question" : "Finish", () => go(step + 1))));
  }

  function scores(answer) {
    const { level } = store.mock;
    const rows = rubric.dimensions.map((d) =>
      make("fieldset", { class: "score" }, make("legend", {}, d.name), make("span", { class: "hint" }, d[level]),
        make("span", { class: "marks" }, [0, 1, 2, 3].map((mark) => {
          const input = make("input", { type: "radio", name: d.name, value: mark, checked: answer.scores[d.name] === mark,
            onchange: () => { answer.scores[d.name] = mark; save(); } });
          return make("label", {}, input, String(mark));
        }))));
    const caps = make("fieldset", { class: "score" }, make("legend", {}, "Capped at 1, because the answer"),
      make("span", { class: "marks" }, rubric.caps.map((cap) => {
        const input = make("input", { type: "checkbox", value: cap.name, checked: answer.caps.includes(cap.name),
          onchange: () => {
            answer.caps = input.checked ? [...answer.caps, cap.name] : answer.caps.filter((name) => name !== cap.name);
            save();
          } });
        return make("label", {}, input, cap.says);
      })));
    return make("details", { class: "scores", open: true }, make("summary", {}, "Score"), rows, caps);
  }

  const scored = (answer, dimension) => {
    const score = answer.scores[dimension];
    return score === undefined ? [] : [answer.caps.length ? Math.min(score, 1) : score];
  };
  const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

  function summarise() {
    const { level, minutes, seed, answers } = store.mock;
    const bar = rubric.bars[level];
    const means = DIMENSIONS.map((dimension) => [dimension, answers.flatMap((answer) => scored(answer, dimension))])
      .map(([dimension, marks]) => [dimension, marks.length ? mean(marks) : null]);
    const known = means.filter(([, score]) => score !== null);
    const reached = known.filter(([, score]) => Math.round(score) >= bar.score);
    const weak = known.filter(([, score]) => Math.round(score) < bar.score).map(([dimension]) => dimension);
    const passed = reached.length >= bar.dimensions;
    const revisit = answers.filter((answer) => {
      const marks = DIMENSIONS.flatMap((dimension) => scored(answer, dimension));
      return marks.length && mean(marks) < bar.score;
    }).map((answer) => byName.get(answer.name));
    const link = ({ url, title }) => make("a", { href: url }, title);
    fill(interview,
      make("h3", { tabindex: "-1" }, `How it went: ${level}, ${minutes} minutes, seed ${seed}`),
      make("p", { class: "verdict" }, !known.length ? "Nothing was scored."
        : `${passed ? "At the bar" : "Below the bar"} for ${level}: ${reached.length} of ${known.length} scored dimensions at ${bar.score} or more; it takes ${bar.dimensions}.`),
      make("table", { class: "docutils" },
        make("thead", {}, make("tr", {}, ["Dimension", "Mean", "Against the bar"].map((head) => make("th", { scope: "col" }, head)))),
        make("tbody", {}, means.map(([dimension, score]) => make("tr", {}, make("th", { scope: "row" }, dimension),
          make("td", {}, score === null ? "–" : score.toFixed(1)),
          make("td", {}, score === null ? "not scored" : Math.round(score) >= bar.score ? "reached" : "weak"))))),
      make("p", {}, "A mean counts as the nearest whole score."),
      weak.length ? make("p", {}, make("strong", {}, "To work on: "), weak.join(", ") + ".") : null,
      make("h4", {}, "Asked"),
      make("ol", {}, answers.map((answer) => {
        const q = byName.get(answer.name);
        const marks = DIMENSIONS.flatMap((dimension) => scored(answer, dimension));
        const capped = answer.caps.map((name) => rubric.caps.find((cap) => cap.name === name)?.says).filter(Boolean);
        return make("li", {}, make("a", { href: q.url }, q.question),
          ` · ${marks.length ? mean(marks).toFixed(1) : "not scored"}${capped.length ? ` · capped: ${capped.join(", ")}` : ""}`);
      })),
      revisit.length ? make("h4", {}, "To revisit") : null,
      revisit.length ? make("ul", {}, revisit.map((q) => make("li", {}, [q.section, ...q.labs].flatMap((where, n) => (n ? [" · ", link(where)] : [link(where)]))))) : null,
      make("p", { class: "buttons" }, button("Print", () => print()), button("Back to the last question", () => go(answers.length - 1)),
        button("Another interview", () => { location.hash = "#mock"; })));
  }

  // ---- progress ------------------------------------------------------------------------------------------------

  function progress() {
    const cards = Object.values(store.cards);
    const counts = Object.keys(QUALITY).map((rating) => [rating, cards.filter((card) => card.rating === rating).length]);
    one(".state").textContent = cards.length
      ? `${cards.length} rated (${counts.filter(([, n]) => n).map(([rating, n]) => `${n} ${rating}`).join(", ")}), ${questions.filter(isDue).length} due today.`
      : "Nothing rated yet.";
  }

  function exported() {
    const content = { ...store };
    try {
      const aside = localStorage.getItem(ASIDE);
      if (aside !== null) content.unreadable = aside;
    } catch { /* then there is nothing aside */ }
    const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
    make("a", { href: url, download: `mastering-mlops-progress-${day()}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  async function imported(file) {
    let found;
    try {
      found = JSON.parse(await file.text());
    } catch {
      return notify(`${file.name} is not an export of this page: it is no JSON. Nothing was changed.`);
    }
    const { kept, lost } = salvage(found);
    if (!Object.keys(kept.cards).length && !kept.mock) return notify(`${file.name} holds no progress. Nothing was changed.`);
    let added = 0;
    for (const [name, card] of Object.entries(kept.cards)) {
      const here = store.cards[name];
      if (!here || Date.parse(here.at) < Date.parse(card.at)) {
        store.cards[name] = card;
        added += 1;
      }
    }
    store.mock = store.mock || kept.mock;
    save();
    progress();
    notify(`${added} ratings imported` + (lost ? `, ${lost} entries could not be read and were left out.` : "."));
  }

  function erase() {
    if (!confirm("Erase all ratings and the current interview from this browser?")) return;
    try {
      localStorage.removeItem(KEY);
      localStorage.removeItem(ASIDE);
    } catch { /* nothing was kept */ }
    store = salvage(null).kept;
    mayWrite = true;
    progress();
    notify("Erased.");
  }

  // ---- the page ------------------------------------------------------------------------------------------------

  /** The links to the views keep the filters, so that one rehearses what one has found. */
  function pointViews() {
    const filters = filtersOf(address().query);
    for (const link of all(".views a")) {
      const view = link.getAttribute("href").slice(1).split("?")[0];
      if (view === "find" || view === "rehearse") link.setAttribute("href", toAddress(view, filters));
      link.toggleAttribute("aria-current", view === address().view);
      if (view === address().view) link.setAttribute("aria-current", "page");
    }
  }

  function route() {
    const { view, query } = address();
    clearInterval(ticking);
    for (const section of all(".view")) section.hidden = section.dataset.view !== view;
    pointViews();
    ({ find, rehearse, mock, progress })[view](query);
  }

  load();
  form.addEventListener("input", filtersChanged);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filtersChanged));
  setup.addEventListener("submit", (event) => {
    event.preventDefault();
    const { level, minutes, seed } = setup.elements;
    location.hash = toAddress("mock", { level: level.value, minutes: minutes.value, seed: seed.value || begins() });
  });
  one("[data-do=export]").addEventListener("click", exported);
  one("[data-do=erase]").addEventListener("click", erase);
  one("[data-view=progress] input[type=file]").addEventListener("change", (event) => {
    if (event.target.files[0]) imported(event.target.files[0]);
    event.target.value = "";
  });
  addEventListener("hashchange", route);
  addEventListener("storage", (event) => { if (event.key === KEY) { load(); route(); } });
  const chosenAlready = !location.hash && FILTERS.some((name) => form.elements[name].value);
  if (chosenAlready) filtersChanged(); // while the bank was on its way
  else route();
  one("#find").removeAttribute("aria-busy");
}

// The bank is larger than all the rest, and the list needs none of it: first the page, then the bank.
addEventListener("load", () => {
  const bank = document.createElement("script");
  bank.src = "questions.js";
  bank.addEventListener("load", begin);
  document.head.append(bank);
});
