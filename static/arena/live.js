// Keeps a page of the arena up to date: asks for its parts again and again while somebody looks, and changes only what
// has changed, so that nothing that is open or focused goes away.
"use strict";
window.arena = (function () {
  const EVERY_MS = 8000;
  const listeners = [];
  const was = new WeakMap(); // what was put there last, as it came
  let url = null, busy = false, timer = 0;

  // Children with a data-key stay where their words are the same; all else becomes as the new HTML has it.
  function merge(part, html) {
    const fresh = document.createElement(part.tagName);
    fresh.innerHTML = html;
    const known = new Map([...part.children].filter(c => c.dataset.key).map(c => [c.dataset.key, c]));
    if (!known.size || [...fresh.children].some(c => !c.dataset.key)) {
      if (was.get(part) !== html && !part.contains(document.activeElement)) {
        part.replaceChildren(...fresh.childNodes);
        was.set(part, html);
      }
      return;
    }
    const shown = [...fresh.children].map(function (child) {
      const old = known.get(child.dataset.key);
      const words = child.innerHTML;
      if (!old) child.classList.add("new");
      if (!old || was.get(old) === undefined) was.set(old || child, words);
      if (!old) return child;
      if (was.get(old) !== words && !old.contains(document.activeElement)) {
        const open = [...old.querySelectorAll("details")].map(d => d.open);
        was.set(old, words);
        old.replaceChildren(...child.childNodes);
        old.querySelectorAll("details").forEach((d, i) => { if (i < open.length) d.open = open[i]; });
      }
      return old;
    });
    shown.forEach(function (child, at) { if (part.children[at] !== child) part.insertBefore(child, part.children[at] || null); });
    while (part.children.length > shown.length) part.lastElementChild.remove();
  }

  function ago(seconds) {
    const sizes = [[86400, "d"], [3600, "h"], [60, "min"]];
    for (const [size, unit] of sizes) if (seconds >= size) return Math.floor(seconds / size) + " " + unit + " ago";
    return Math.max(0, Math.floor(seconds)) + " s ago";
  }

  function tellTimes() {
    for (const time of document.querySelectorAll("time[datetime]")) {
      if (!time.title) time.title = time.textContent + " UTC";
      time.textContent = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    }
  }

  function say(text) {
    const live = document.getElementById("live");
    if (live && live.textContent !== text) live.textContent = text;
  }

  async function look() {
    if (!url || busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(url(), { cache: "no-cache" });
      if (!answer.ok) throw new Error(answer.status);
      const body = await answer.json();
      for (const part of document.querySelectorAll("[data-part]")) {
        if (part.dataset.part in body.parts) merge(part, body.parts[part.dataset.part]);
      }
      tellTimes();
      for (const listener of listeners) listener(body);
      say("● live");
    } catch (error) {
      say(error.message === "404" ? "no longer public" : "○ no answer; trying again");
    } finally {
      busy = false;
    }
  }

  function watch(from, listener) {
    url = from;
    if (listener) listeners.push(listener);
    clearInterval(timer);
    timer = setInterval(look, EVERY_MS);
    look();
  }

  // What both charts of equity have in common: 24 hours, the day below, and the colours of the page.
  const TIMES = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1]
  ];

  function plot(box, data, series, width, words, hooks) {
    const line = color("--line");
    const axis = { stroke: color("--quiet"), grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui" };
    const digits = step => Math.min(8, (String(+step.toPrecision(6)).split(".")[1] || "").length);
    return new uPlot({
      width: box.clientWidth, height: box.clientHeight, legend: { show: false }, hooks, series: [{}, ...series],
      tzDate: at => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      axes: [{ ...axis, values: TIMES }, { ...axis, size: width, values: (_, all, at, space, step) => all.map(v => words(v, digits(step))) }]
    }, data, box);
  }

  function color(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  tellTimes();
  setInterval(function () { if (!document.hidden) tellTimes(); }, 5000);
  document.addEventListener("visibilitychange", look);
  return { watch, look, color, plot };
})();
