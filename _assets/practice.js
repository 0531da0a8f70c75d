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
  // The ratings have one entry of this browser's store, and each interview has another, so that tabs never share one
  // by accident. What the browser does not keep, because its store is full or denied, is kept in memory.

  const KEY = "mastering-mlops.practice";
  const ASIDE = KEY + ".unreadable";
  const MOCK = KEY + ".mock.";
  const VERSION = 1;
  const QUALITY = { failed: 2, hard: 3, good: 4, easy: 5 }; // of SM-2's six grades, those one can tell apart
  const VERDICTS = { reached: "Reached", short: "Fell short", capped: "Capped at 1" }; // of an answer in an interview
  const SEED = /^[\w-]{1,32}$/;
  const TROUBLE = "This browser keeps nothing more for this page: its storage is full or denied. " +
    "The page works on, but what you do from now on is lost when you leave it. Export it under Progress first.";
  const isDate = (text) => typeof text === "string" && /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isCount = (number) => Number.isInteger(number) && number >= 0;
  const isScore = (score) => [0, 1, 2, 3].includes(score);
  const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

  function isCard(card) {
    return (
      card && card.rating in QUALITY && isCount(card.repetitions) && isCount(card.interval) &&
      card.easiness >= 1.3 && card.easiness <= 10 && isDate(card.due) && !Number.isNaN(Date.parse(card.at))
    );
  }

  function isMock(mock) {
    return (
      mock && Object.hasOwn(rubric.bars, mock.level) && [20, 40, 60].includes(mock.minutes) && SEED.test(mock.seed) &&
      Number.isFinite(mock.began) && isCount(mock.step) && Array.isArray(mock.answers) &&
      mock.answers.every((a) => a && typeof a.name === "string" && isCount(a.followUps) && (!a.verdict || a.verdict in VERDICTS)) &&
      mock.scores && Object.values(mock.scores).every(isScore)
    );
  }

  /** An interview in the form of today: once, each answer had scores of its own. */
  function renewed(mock) {
    if (!mock || mock.scores || !Array.isArray(mock.answers)) return mock;
    const answers = mock.answers.map((a) => a || {});
    const marks = DIMENSIONS.map((d) => [d, answers.map((a) => (a.scores || {})[d]).filter(isScore)]);
    return {
      ...mock,
      scores: Object.fromEntries(marks.filter(([, all]) => all.length).map(([d, all]) => [d, Math.round(mean(all))])),
      answers: answers.map(({ name, followUps, caps }) => ({ name, followUps, verdict: caps && caps.length ? "capped" : null })),
    };
  }

  const keyOf = ({ level, minutes, seed }) => `${MOCK}${level}.${minutes}.${seed}`;
  const changedAt = (mock) => Date.parse(mock.at) || mock.began;

  /** What can be kept of `found`; `lost` counts what could not. Unknown questions stay: they may come back. */
  function salvage(found) {
    const kept = { cards: {}, mocks: [] };
    let lost = 0;
    const { cards, interviews, mock } = found || {};
    for (const [name, card] of Object.entries(cards && typeof cards === "object" ? cards : {})) {
      if (isCard(card)) kept.cards[name] = card;
      else lost += 1;
    }
    for (const one of [...(Array.isArray(interviews) ? interviews : []), ...(mock ? [mock] : [])].map(renewed)) {
      if (isMock(one)) kept.mocks.push(one);
      else lost += 1;
    }
    return { kept, lost };
  }

  /** Add to `mine` those of `others` that were rated later; return how many. */
  function addLater(mine, others) {
    const newer = Object.entries(others).filter(([name, card]) => !mine[name] || Date.parse(mine[name].at) < Date.parse(card.at));
    Object.assign(mine, Object.fromEntries(newer));
    return newer.length;
  }

  let cards = {};
  let mayWrite = true; // not into what a newer edition wrote, nor over what could not be put aside
  let troubled = false;
  const memory = new Map();

  function notify(text) {
    const line = one(".notice");
    line.textContent = text;
    line.hidden = !text;
  }

  function trouble() {
    if (!troubled) notify(TROUBLE);
    troubled = true;
  }

  function stored(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  }
  const recall = (key) => (memory.has(key) ? memory.get(key) : stored(key));

  function keep(key, text) {
    try {
      if (mayWrite) localStorage.setItem(key, text);
    } catch {
      trouble();
    }
    if (stored(key) === text) memory.delete(key);
    else memory.set(key, text);
  }

  function keysOf(prefix) {
    let found = [];
    try {
      found = Object.keys(localStorage);
    } catch { /* there are none */ }
    return [...new Set([...found, ...memory.keys()])].filter((key) => key.startsWith(prefix));
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /** Keep `text`, which could not be read, under a name that is free; otherwise nothing is written any more. */
  function putAside(text) {
    let key = ASIDE;
    for (let n = 2; stored(key) !== null && stored(key) !== text; n += 1) key = `${ASIDE}.${n}`;
    try {
      localStorage.setItem(key, text);
    } catch {
      mayWrite = false;
      trouble();
    }
  }

  /** Read the ratings when the page opens. */
  function load() {
    let text;
    try {
      text = localStorage.getItem(KEY);
    } catch {
      return trouble();
    }
    if (text === null) return;
    const found = parsed(text);
    const { kept, lost } = salvage(found);
    cards = kept.cards;
    if (found && found.version > VERSION) {
      mayWrite = false;
      return notify("Your progress was saved by a newer edition of this page. It is shown as far as this one understands it, and not changed.");
    }
    if (found === undefined) notify("Your saved progress could not be read. It was put aside, not erased: Export includes it.");
    else if (lost || !found || found.version !== VERSION) {
      const what = lost ? `${lost} of its entries could not be read and were put aside` : "it was brought up to date";
      notify(`Your progress was saved in another form: ${what}. Nothing was erased.`);
    } else if (!found.mock) return;
    if (lost || !found || found.version !== VERSION) putAside(text);
    for (const mock of kept.mocks) if (recall(keyOf(mock)) === null) keep(keyOf(mock), JSON.stringify(mock));
    save();
  }

  /** Write the ratings, together with those that another tab has written meanwhile. */
  function save() {
    addLater(cards, salvage(parsed(recall(KEY))).kept.cards);
    keep(KEY, JSON.stringify({ version: VERSION, cards }));
  }

  /** What another tab wrote is taken over and shown. Nothing is written then, and nobody's question is changed. */
  let refresh = null;
  function listen(event) {
    if (event.key !== null && event.key !== undefined && !event.key.startsWith(KEY)) return;
    const text = stored(KEY);
    const found = parsed(text);
    if (found === undefined) return;
    const there = salvage(found).kept.cards;
    if (memory.has(KEY)) addLater(cards, there);
    else cards = there;
    if (refresh) refresh();
  }

  // ---- the schedule: SM-2 --------------------------------------------------------------------------------------

  function day(shift = 0) {
    const now = new Date();
    now.setDate(now.getDate() + shift);
    return [now.getFullYear(), String(now.getMonth() + 1).padStart(2, "0"), String(now.getDate()).padStart(2, "0")].join("-");
  }

  /** The card after a rating. A failed one begins again, keeps its easiness, and stays due until it is passed; easiness
   *  does not move when it is asked again that day. SM-2 asks again what was hard, too; an answer of minutes is not. */
  function rated(card, rating) {
    const { repetitions = 0, interval = 0, easiness = 2.5 } = card || {};
    const miss = 5 - QUALITY[rating];
    const failed = rating === "failed";
    const again = card && card.interval === 0 && card.due === day();
    const easier = failed || again ? easiness : Math.max(1.3, easiness + 0.1 - miss * (0.08 + miss * 0.02));
    const repeated = failed ? 0 : repetitions + 1;
    const next = failed ? 0 : repeated === 1 ? 1 : repeated === 2 ? 6 : Math.ceil(interval * easier);
    return { rating, repetitions: repeated, interval: next, easiness: easier, due: day(next), at: new Date().toISOString() };
  }

  const isDue = (q) => q.name in cards && cards[q.name].due <= day();

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
      const card = cards[q.name];
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
    for (const name of FILTERS) if (form.elements[name].value.trim() !== filters[name]) form.elements[name].value = filters[name];
    const shown = new Set(chosen(filters).map((q) => q.name));
    for (const [name, item] of items) item.hidden = !shown.has(name);
    for (const section of all("section.asked")) section.hidden = !one("li:not([hidden])", section);
    const due = questions.filter(isDue).length;
    refresh = () => find(address().query);
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

  const BETWEEN = 3; // questions before one that was failed comes back

  function rehearse(query) {
    const pool = chosen(filtersOf(query));
    const due = pool.filter(isDue).sort((a, b) => cards[a.name].due.localeCompare(cards[b.name].due));
    const fresh = pool.filter((q) => !(q.name in cards));
    const times = Object.values(cards).map((card) => Date.parse(card.at));
    const failed = due.filter((q) => cards[q.name].interval === 0);
    const again = failed.filter((q) => times.filter((at) => at > Date.parse(cards[q.name].at)).length >= BETWEEN);
    const q = [...again, ...due.filter((q) => !failed.includes(q)), ...fresh, ...failed][0];
    if (q) return rehearseOne(q, `${due.length} due, ${fresh.length} new`, query);
    refresh = null;
    const coming = pool.map((other) => cards[other.name].due).sort()[0];
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
        Object.keys(QUALITY).map((rating) => button("", () => {
          cards[q.name] = rated(cards[q.name], rating);
          save();
          rehearse(query);
          one("[tabindex]", rehearsal).focus();
        }, { "data-rating": rating }))));
    refresh = () => {
      for (const choice of all("[data-rating]", behind)) {
        const { rating } = choice.dataset;
        const { interval } = rated(cards[q.name], rating);
        choice.textContent = `${rating} · ${interval === 0 ? "again today" : interval === 1 ? "tomorrow" : `in ${interval} days`}`;
      }
    };
    refresh();
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

  /** The questions of a loop: its kinds in order, no subject twice, within the time; each decides at the level or, where
   *  there is none, at the next one below. */
  function draw(level, minutes, seed) {
    const random = seeded(`${level} ${minutes} ${seed}`);
    const bank = [...questions].sort((a, b) => (a.name < b.name ? -1 : 1));
    const levels = Object.keys(rubric.bars);
    const fitting = levels.slice(0, levels.indexOf(level) + 1).reverse();
    const loop = [];
    let left = minutes;
    const pick = (fits) => {
      const free = bank.filter((q) => fits(q) && q.minutes <= left && loop.every((other) => other.covers[0] !== q.covers[0]));
      const pool = fitting.map((one) => free.filter((q) => q.level === one)).find((some) => some.length);
      if (!pool) return false;
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
  const nameOf = ({ level, minutes, seed }) => `${level}, ${minutes} minutes, seed ${seed}`;
  const linkTo = (mock) => make("a", { href: toAddress("mock", { level: mock.level, minutes: mock.minutes, seed: mock.seed }) }, nameOf(mock));

  let current = null; // the interview on the screen
  const recallMock = (key) => [renewed(parsed(recall(key)))].find(isMock) || null;
  const mocks = () => keysOf(MOCK).map(recallMock).filter(Boolean).sort((a, b) => changedAt(b) - changedAt(a));

  function keepMock() {
    current.at = new Date().toISOString();
    keep(keyOf(current), JSON.stringify(current));
  }

  /** What another tab has written of the interview on the screen; the step stays, since it is this tab's. */
  function takeOver() {
    const there = recallMock(keyOf(current));
    if (!there || there.answers.length !== current.answers.length) return;
    there.answers.forEach((answer, n) => Object.assign(current.answers[n], answer));
    Object.assign(current, { scores: there.scores, counted: there.counted });
  }

  function mock(query) {
    const level = query.get("level"), minutes = Number(query.get("minutes")), seed = query.get("seed");
    refresh = null;
    current = null;
    const valid = Object.hasOwn(rubric.bars, level || "") && minutes in LOOPS && SEED.test(seed || "");
    setup.hidden = valid;
    if (!valid) {
      setup.elements.seed.value = begins();
      const open = mocks().filter((one) => one.step < one.answers.length).slice(0, 3);
      return fill(interview, open.length ? make("p", {}, "Go on with an interview that you began:") : null,
        open.length ? make("ul", {}, open.map((one) => make("li", {}, linkTo(one)))) : null);
    }
    const key = keyOf({ level, minutes, seed });
    current = recallMock(key);
    if (!current) {
      if (recall(key) !== null) putAside(recall(key));
      const answers = draw(level, minutes, seed).map((q) => ({ name: q.name, followUps: 0, verdict: null }));
      current = { level, minutes, seed, began: Date.now(), step: 0, scores: {}, answers };
      keepMock();
    }
    showMock();
  }

  function go(step) {
    current.step = step;
    keepMock();
    showMock();
    one("[tabindex]", interview).focus();
    scrollTo(0, 0);
  }

  function showMock() {
    const { answers, step, minutes, began, level } = current;
    if (step >= answers.length) return summarise();
    const answer = answers[step];
    const q = byName.get(answer.name);
    const last = step + 1 === answers.length;
    const asked = make("div", { class: "asked-further", "aria-live": "polite" });
    const further = button("Ask a follow-up", () => {
      answer.followUps += 1;
      keepMock();
      show();
    });
    const verdicts = Object.entries(VERDICTS).map(([verdict, says]) => button(says + (verdict === "reached" ? " " + level : ""), () => {
      answer.verdict = verdict;
      go(step + 1);
    }, { "data-verdict": verdict }));
    const [sheet, sync] = scores(() => {});
    function show() {
      const open = q ? q.follow_ups.slice(0, answer.followUps) : [];
      for (const f of open.slice(asked.childElementCount)) {
        asked.append(make("div", { class: "follow-up" }, make("p", { class: "said", html: f.question }), fold("A good reply", f.reply)));
      }
      further.disabled = !q || answer.followUps >= q.follow_ups.length;
      for (const choice of verdicts) choice.setAttribute("aria-pressed", choice.dataset.verdict === answer.verdict);
      sync();
    }
    show();
    refresh = () => {
      takeOver();
      show();
    };
    fill(interview,
      make("p", { class: "count" }, `Question ${step + 1} of ${answers.length} · `, clock(() => (Date.now() - began) / 1000, minutes)),
      q ? ask(q) : make("h3", { tabindex: "-1" }, "This question is no longer in the book"),
      make("p", { class: "buttons" }, further),
      asked,
      q ? fold("For the interviewer", make("div", {}, make("div", { html: q.listens_for }), flagsOf(q), answersOf(q), workedOf(q) || "")) : null,
      make("details", { class: "scores" }, make("summary", {}, "Score sheet, one for the whole interview"), sheet),
      make("fieldset", { class: "buttons" }, make("legend", {}, `How was this answer? ${last ? "The summary" : "The next question"} follows.`), verdicts,
        make("span", { class: "hint" }, `An answer is capped at 1 for: ${rubric.caps.map((cap) => cap.says).join(", ")}.`)),
      make("p", { class: "buttons" },
        step ? button("Back", () => go(step - 1)) : null,
        button(last ? "Finish" : "Next question", () => go(step + 1))));
  }

  /** The sheet with one score for each dimension, and what shows it again after another tab has changed it. */
  function scores(changed) {
    const inputs = [];
    const sheet = make("div", {}, rubric.dimensions.map((d) =>
      make("fieldset", { class: "score" }, make("legend", {}, d.name), make("span", { class: "hint" }, d[current.level]),
        make("span", { class: "marks" }, [0, 1, 2, 3].map((mark) => {
          const input = make("input", { type: "radio", name: d.name, value: mark, onchange: () => {
            current.scores[d.name] = mark;
            keepMock();
            changed();
          } });
          inputs.push([input, d.name, mark]);
          return make("label", {}, input, String(mark));
        })))));
    const sync = () => inputs.forEach(([input, name, mark]) => { input.checked = current.scores[name] === mark; });
    sync();
    return [sheet, sync];
  }

  /** How an interview stands: the mean of each dimension over its answers, of which those that are capped count 1 at most. */
  function standing({ level, scores, answers }) {
    const bar = rubric.bars[level];
    const means = DIMENSIONS.map((dimension) => [dimension, dimension in scores
      ? mean(answers.map((answer) => (answer.verdict === "capped" ? Math.min(1, scores[dimension]) : scores[dimension]))) : null]);
    const known = means.filter(([, score]) => score !== null);
    const reached = known.filter(([, score]) => Math.round(score) >= bar.score);
    const passed = reached.length >= bar.dimensions;
    const verdict = !known.length ? "Nothing was scored."
      : `${passed ? "At the bar" : "Below the bar"} for ${level}: ${reached.length} of ${known.length} scored dimensions at ${bar.score} or more; it takes ${bar.dimensions}.`;
    return { bar, means, verdict, weak: known.filter((one) => !reached.includes(one)).map(([dimension]) => dimension) };
  }

  function summarise() {
    const { answers, level } = current;
    const result = make("div", { role: "status" });
    const link = ({ url, title }) => make("a", { href: url }, title);
    const judged = answers.filter((answer) => answer.verdict && byName.has(answer.name));
    const weakly = judged.filter((answer) => answer.verdict !== "reached").map((answer) => byName.get(answer.name));
    const revisit = [...new Map(weakly.flatMap((q) => [q.section, ...q.labs]).map((where) => [where.url, where])).values()];
    const count = button(`These were my answers: rate ${judged.length} questions by them`, () => {
      for (const { name, verdict } of judged) cards[name] = rated(cards[name], verdict === "reached" ? "good" : "failed");
      save();
      current.counted = true;
      keepMock();
      show();
    });
    function show() {
      const { bar, means, verdict, weak } = standing(current);
      fill(result,
        make("p", { class: "verdict" }, verdict),
        make("table", { class: "docutils" },
          make("thead", {}, make("tr", {}, ["Dimension", "Score", "Against the bar"].map((head) => make("th", { scope: "col" }, head)))),
          make("tbody", {}, means.map(([dimension, score]) => make("tr", {}, make("th", { scope: "row" }, dimension),
            make("td", {}, score === null ? "–" : score.toFixed(1)),
            make("td", {}, score === null ? "not scored" : Math.round(score) >= bar.score ? "reached" : "weak"))))),
        answers.some((answer) => answer.verdict === "capped")
          ? make("p", {}, "The score is a mean over the answers, of which a capped one counts 1 at most. It is rounded before it meets the bar.") : null,
        weak.length ? make("p", {}, make("strong", {}, "To work on: "), weak.join(", ") + ".") : null);
      count.disabled = Boolean(current.counted);
      if (current.counted) count.textContent = `${judged.length} questions were rated by these answers`;
    }
    const [sheet, sync] = scores(show);
    refresh = () => {
      takeOver();
      sync();
      show();
    };
    show();
    const heard = { reached: `reached ${level}`, short: "fell short", capped: "capped at 1" };
    fill(interview,
      make("h3", { tabindex: "-1" }, `How it went: ${nameOf(current)}`),
      make("details", { class: "scores", open: !Object.keys(current.scores).length }, make("summary", {}, "Score sheet, one for the whole interview"), sheet),
      result,
      make("h4", {}, "Asked"),
      make("ol", {}, answers.map((answer) => {
        const q = byName.get(answer.name);
        return make("li", {}, q ? make("a", { href: q.url }, q.question) : answer.name, ` · ${heard[answer.verdict] || "not judged"}`);
      })),
      revisit.length ? make("h4", {}, "To revisit") : null,
      revisit.length ? make("ul", {}, revisit.map((where) => make("li", {}, link(where)))) : null,
      make("p", { class: "buttons" }, judged.length ? count : null, button("Print", () => print()),
        button("Back to the last question", () => go(answers.length - 1)),
        button("Another interview", () => { location.hash = "#mock"; })));
  }

  // ---- progress ------------------------------------------------------------------------------------------------

  function progress() {
    refresh = progress;
    const rated = Object.values(cards);
    const counts = Object.keys(QUALITY).map((rating) => [rating, rated.filter((card) => card.rating === rating).length]);
    one(".state").textContent = rated.length
      ? `${rated.length} rated (${counts.filter(([, n]) => n).map(([rating, n]) => `${n} ${rating}`).join(", ")}), ${questions.filter(isDue).length} due today.`
      : "Nothing rated yet.";
    const held = mocks().filter((one) => one.step || Object.keys(one.scores).length);
    fill(one(".interviews"), held.length ? [make("h3", {}, "Interviews"), make("ul", {}, held.map((one) =>
      make("li", {}, linkTo(one), make("span", { class: "hint" }, ` · ${new Date(one.began).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })} · `),
        one.step < one.answers.length ? `at question ${one.step + 1} of ${one.answers.length}` : standing(one).verdict)))] : []);
  }

  function exported() {
    const aside = keysOf(ASIDE).map(stored);
    const content = { version: VERSION, cards, interviews: mocks() };
    if (aside.length) content.unreadable = aside.length > 1 ? aside : aside[0];
    const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
    make("a", { href: url, download: `mastering-mlops-progress-${day()}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  async function imported(file) {
    const found = parsed(await file.text());
    if (found === undefined) return notify(`${file.name} is not an export of this page: it is no JSON. Nothing was changed.`);
    const { kept, lost } = salvage(found);
    if (!Object.keys(kept.cards).length && !kept.mocks.length) return notify(`${file.name} holds no progress. Nothing was changed.`);
    const added = addLater(cards, kept.cards);
    save();
    const others = kept.mocks.filter((mock) => {
      const here = recallMock(keyOf(mock));
      return !here || changedAt(here) < changedAt(mock);
    });
    for (const mock of others) keep(keyOf(mock), JSON.stringify(mock));
    progress();
    if (!troubled) notify(`${added} ratings${others.length ? ` and ${others.length} interviews` : ""} imported` + (lost ? `, ${lost} entries could not be read and were left out.` : "."));
  }

  function erase() {
    if (!confirm("Erase all ratings and interviews from this browser?")) return;
    for (const key of keysOf(KEY)) {
      try {
        localStorage.removeItem(key);
      } catch { /* nothing was kept */ }
    }
    memory.clear();
    cards = {};
    mayWrite = true;
    troubled = false;
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
  addEventListener("storage", listen);
  addEventListener("pageshow", (event) => { if (event.persisted) listen(event); }); // it slept, and heard nothing
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
  bank.addEventListener("error", () => {
    for (const dead of document.querySelectorAll(".views, .filters")) dead.hidden = true;
    const notice = document.querySelector(".notice");
    notice.textContent = "The file questions.js could not be loaded, so nothing can be rehearsed here now. " +
      "The list below still leads to every question and its answers. Reload the page to try again, and see whether something blocks its scripts.";
    notice.hidden = false;
    document.querySelector("#find").removeAttribute("aria-busy");
  });
  document.head.append(bank);
});
