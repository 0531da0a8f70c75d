// The search page: the sections and questions that fit best stand above the pages that Sphinx finds.
// Their index, places-index.js, is made with the book (extensions/places.py) and fetched when somebody searches.
(() => {
  "use strict";
  const query = new URLSearchParams(location.search).get("q") || "";
  const MOST = 10;

  /** How well each place fits: rare words count more, those of a title three times, and a long section less. */
  function rank({ places, words }) {
    const stemmer = new Stemmer(); // Sphinx's
    const stems = (text) => (text.toLowerCase().match(/[\p{L}\p{N}]+(?:[.,]\d+)*/gu) || [])
      .filter((word) => !stopwords.includes(word)).map((word) => stemmer.stemWord(word));
    const wanted = [...new Set(stems(query))];
    const usual = places.reduce((sum, place) => sum + place[4], 0) / places.length;
    const fits = new Map();
    for (const stem of wanted) {
      let at = 0; // the index tells how far each place is from the one before
      const holding = (Object.hasOwn(words, stem) ? words[stem] : []).map((apart) => (at += apart));
      const rare = Math.log(1 + places.length / (holding.length + 1));
      for (const n of holding) {
        const [, , title, , length] = places[n];
        const fit = fits.get(n) || { score: 0, words: 0 };
        fit.score += (rare * (stems(title).includes(stem) ? 3 : 1)) / (0.6 + (0.4 * length) / usual);
        fit.words += 1;
        fits.set(n, fit);
      }
    }
    return [...fits].map(([n, fit]) => [n, fit.score * (fit.words / wanted.length) ** 2])
      .sort((a, b) => b[1] - a[1]).slice(0, MOST).map(([n]) => places[n]);
  }

  function show() {
    const { pages } = window.coursePlaces;
    const found = rank(window.coursePlaces);
    if (!found.length) return;
    const list = document.createElement("ul");
    for (const [page, anchor, title, isQuestion] of found) {
      const link = document.createElement("a");
      link.href = pages[page][0] + (anchor ? "#" + anchor : "");
      link.textContent = title;
      const where = document.createElement("span");
      where.textContent = (isQuestion ? "Question · " : anchor ? "Section · " : "Page") + (anchor ? pages[page][1] : "");
      const item = document.createElement("li");
      item.append(link, where);
      list.append(item);
    }
    const heading = document.createElement("h2");
    heading.textContent = "Sections and questions";
    document.getElementById("places").replaceChildren(heading, list);
  }

  if (!query.trim()) return;
  const index = document.createElement("script");
  index.src = "places-index.js";
  index.addEventListener("load", show);
  document.head.append(index);
})();
