// The charts of a bot's page: candles with its trades, and its equity.
"use strict";
(function () {
  const page = document.querySelector("[data-bot]");
  if (!page) return;
  const base = page.dataset.bot;
  const symbols = document.getElementById("symbol");
  const candleBox = document.getElementById("candles"), candleWords = document.getElementById("candles-words");
  const equityBox = document.getElementById("equity"), equityWords = document.getElementById("equity-words");
  const buttons = [...document.querySelectorAll("[data-range]")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let range = "daily", candles = null, series = null, marks = null, lines = [], equity = null, curve = [[], []], trades = null;

  const BARS = { daily: "Bars of 5 minutes", all_time: "Bars of an hour, of 62 days" };
  BARS.weekly = BARS.monthly = "Bars of an hour";
  const query = () => "symbol=" + encodeURIComponent(symbols ? symbols.value : "") + "&period=" + range;
  const two = number => number.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const bar = row => ({ time: row[0], open: row[1], high: row[2], low: row[3], close: row[4] });
  const looks = () => ({
    layout: { background: { color: "transparent" }, textColor: arena.color("--quiet"), attributionLogo: true },
    grid: { vertLines: { color: arena.color("--line") }, horzLines: { color: arena.color("--line") } },
    rightPriceScale: { borderColor: arena.color("--line") },
    timeScale: { borderColor: arena.color("--line"), timeVisible: true, secondsVisible: false, rightOffset: 4 }
  });

  const many = (count, one, more) => count + " " + (count === 1 ? one : more);

  function decimals(price) { return Math.min(10, Math.max(2, 5 - Math.floor(Math.log10(Math.abs(price) || 1)) - 1)); }

  function makeCandles() {
    const chart = LightweightCharts.createChart(candleBox, {
      ...looks(), autoSize: true, handleScale: { mouseWheel: false }, handleScroll: { mouseWheel: false, vertTouchDrag: false }
    });
    series = chart.addSeries(LightweightCharts.CandlestickSeries, {
      upColor: arena.color("--up"), downColor: arena.color("--down"), wickUpColor: arena.color("--up"),
      wickDownColor: arena.color("--down"), borderVisible: false
    });
    marks = LightweightCharts.createSeriesMarkers(series, []);
    return chart;
  }

  function markOf(trade) {
    const long = trade.direction === "LONG", entry = trade.kind === "entry";
    if (entry) {
      return {
        time: trade.time, position: long ? "belowBar" : "aboveBar", shape: long ? "arrowUp" : "arrowDown",
        color: long ? arena.color("--up") : arena.color("--down"), text: trade.direction
      };
    }
    return {
      time: trade.time, position: long ? "aboveBar" : "belowBar", shape: "circle",
      color: trade.is_loss ? arena.color("--down") : arena.color("--up"), text: trade.pnl === null ? "exit" : trade.pnl
    };
  }

  function levels(found) {
    for (const line of lines) series.removePriceLine(line);
    lines = found.map(one => series.createPriceLine({
      price: one.price, title: one.title, color: arena.color(one.title === "entry" ? "--main" : "--quiet"),
      lineWidth: 1, lineStyle: LightweightCharts.LineStyle.Dashed, axisLabelVisible: true
    }));
  }

  async function loadCandles() {
    if (!candleBox || !window.LightweightCharts) return;
    const asked = query();
    const answer = await fetch(base + "/candles?" + asked, { cache: "no-cache" }).catch(() => null);
    if (!answer || !answer.ok || asked !== query()) return;
    const body = await answer.json();
    if (!candles) candles = makeCandles();
    const last = body.bars.at(-1);
    if (last) {
      const digits = decimals(last[4]);
      series.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: Math.pow(10, -digits) } });
    }
    series.setData(body.bars.map(bar));
    marks.setMarkers(body.bars.length ? body.marks.filter(one => one.time >= body.bars[0][0]).map(markOf) : []);
    levels(body.levels);
    if (body.bars.length > 40) candles.timeScale().fitContent();
    else { candles.timeScale().applyOptions({ barSpacing: 12 }); candles.timeScale().scrollToRealTime(); }
    candleBox.dataset.bars = body.bars.length;
    candleBox.dataset.marks = body.marks.length;
    const entries = body.marks.filter(one => one.kind === "entry").length;
    candleWords.textContent = body.bars.length
      ? BARS[range] + ". " + many(entries, "entry", "entries") + " (arrows), " + many(body.marks.length - entries, "exit", "exits") + " (circles)."
      : "No prices of it were recorded in this time yet.";
  }

  function drawEquity() {
    if (equity) equity.destroy();
    equity = null;
    equityBox.textContent = "";
    if (curve[0].length < 2) { equityWords.textContent = "Equity is recorded every few minutes; the curve begins with the second point."; return; }
    const main = arena.color("--main");
    equity = arena.plot(equityBox, curve, [{ stroke: main, width: 2, fill: main + "1a", points: { show: false } }], 76,
      (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
      { setCursor: [tellEquity], ready: [tellEquity] });
    equityBox.dataset.drawn = curve[0].length;
  }

  function tellEquity(chart) {
    const at = chart.cursor.idx === null || chart.cursor.idx === undefined ? curve[0].length - 1 : chart.cursor.idx;
    const when = new Date(curve[0][at] * 1000).toISOString().slice(0, 16).replace("T", " ");
    equityWords.textContent = two(curve[1][at]) + " at " + when + ".";
  }

  async function loadEquity() {
    if (!equityBox || !window.uPlot) return;
    const answer = await fetch(base + "/equity?period=" + range, { cache: "no-cache" }).catch(() => null);
    if (!answer || !answer.ok) return;
    curve = (await answer.json()).curve;
    drawEquity();
  }

  function choose(name) {
    range = name;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.range === name));
    loadCandles();
    loadEquity();
  }

  function news(body) {
    if (trades !== null && trades !== body.trades) { trades = body.trades; loadCandles(); return; }
    trades = body.trades;
    if (!series) return;
    for (const row of body.bars) { try { series.update(bar(row)); } catch (error) { /* older than what is drawn */ } }
  }

  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.range));
  if (symbols) symbols.addEventListener("change", function () { loadCandles(); arena.look(); });
  new ResizeObserver(function () {
    if (equity) equity.setSize({ width: equityBox.clientWidth, height: equityBox.clientHeight });
  }).observe(equityBox);
  dark.addEventListener("change", function () {
    if (candles) { candles.remove(); candles = null; lines = []; }
    choose(range);
  });
  setInterval(function () { if (!document.hidden) loadEquity(); }, 60000);
  choose(range);
  arena.watch(() => page.dataset.live + "?" + query(), news);
})();
