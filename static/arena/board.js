// The chart above the leaderboard.
"use strict";
(function () {
  const box = document.getElementById("curves");
  const table = document.querySelector("table[data-live]");
  const legend = document.getElementById("legend");
  if (table) arena.watch(() => table.dataset.live);
  if (!box || !window.uPlot) return;

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const hue = at => "hsl(" + Math.round((at * 137.5 + 168) % 360) + " 65% " + (dark.matches ? "62%" : "38%") + ")";
  let chart = null, bots = [], hidden = new Set();

  function size() { return { width: box.clientWidth, height: box.clientHeight }; }

  function draw() {
    if (chart) chart.destroy();
    if (!bots.length) { chart = null; return; }
    chart = arena.plot(box, uPlot.join(bots.map(bot => bot.curve)), bots.map((bot, at) => ({
      label: bot.name, stroke: hue(at), width: 2, spanGaps: true, show: !hidden.has(bot.id), points: { show: false }
    })), 80, (value, digits) => signed(value, digits), { setCursor: [tell], ready: [tell] });
    box.dataset.drawn = bots.length;
  }

  function signed(value, digits) {
    return (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(digits) + " %";
  }

  function last(values, upTo) {
    for (let at = upTo; at >= 0; at--) if (values[at] !== null && values[at] !== undefined) return values[at];
    return null;
  }

  function tell(drawn) {
    const at = drawn.cursor.idx === null || drawn.cursor.idx === undefined ? drawn.data[0].length - 1 : drawn.cursor.idx;
    bots.forEach(function (bot, place) {
      const value = last(drawn.data[place + 1], at);
      const word = legend.children[place] && legend.children[place].querySelector("output");
      if (word) word.textContent = value === null ? "–" : signed(value, 2);
    });
  }

  function list() {
    legend.replaceChildren(...bots.map(function (bot, at) {
      const item = document.createElement("li"), button = document.createElement("button"), dot = document.createElement("i");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(bot.id)));
      dot.style.background = hue(at);
      button.append(dot, bot.name + " ", document.createElement("output"));
      button.addEventListener("click", function () {
        if (hidden.has(bot.id)) hidden.delete(bot.id); else hidden.add(bot.id);
        button.setAttribute("aria-pressed", String(!hidden.has(bot.id)));
        chart.setSeries(at + 1, { show: !hidden.has(bot.id) });
      });
      item.append(button);
      return item;
    }));
  }

  async function load() {
    if (document.hidden && bots.length) return;
    try {
      const answer = await fetch(box.dataset.from, { cache: "no-cache" });
      if (!answer.ok) return;
      const found = (await answer.json()).bots.filter(bot => bot.curve[0].length > 1);
      const same = found.map(b => b.id).join() === bots.map(b => b.id).join();
      bots = found;
      if (!same) list();
      if (same && chart) { chart.setData(uPlot.join(bots.map(bot => bot.curve))); tell(chart); } else draw();
      if (!bots.length) box.textContent = "Nothing to draw yet.";
    } catch (error) { /* the next look tries again */ }
  }

  new ResizeObserver(function () { if (chart) chart.setSize(size()); }).observe(box);
  dark.addEventListener("change", function () { list(); draw(); });
  document.addEventListener("visibilitychange", function () { if (!document.hidden) load(); });
  setInterval(load, 30000);
  load();
})();
