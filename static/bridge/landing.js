// Shows how the service is, from /health, and looks again every 15 seconds while the page is visible.
"use strict";
(function () {
  const box = document.getElementById("service");
  const word = document.getElementById("service-word");
  const text = document.getElementById("service-text");
  const list = document.getElementById("service-checks");
  const says = {
    healthy: "Everything it needs is there.",
    degraded: "It answers, but something beside it is silent or away.",
    unhealthy: "The database cannot be reached.",
    unreachable: "It does not answer. Is it being restarted?"
  };

  function show(state, checks) {
    box.dataset.state = state;
    word.textContent = state;
    text.textContent = says[state] || "";
    list.replaceChildren(...Object.entries(checks).map(function ([name, check]) {
      const item = document.createElement("li");
      const good = check.status === "healthy";
      item.dataset.state = good ? "healthy" : check.status === "not_configured" ? "off" : "bad";
      item.textContent = name + (good ? "" : ": " + check.status.replace("_", " "));
      if (check.latency_ms !== undefined && check.latency_ms !== null) item.title = check.latency_ms + " ms";
      return item;
    }));
  }

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch("/health", { headers: { Accept: "application/json" }, cache: "no-store" });
      const body = await answer.json();
      show(body.status, body.checks || {});
    } catch (error) {
      show("unreachable", {});
    }
  }

  look();
  setInterval(look, 15000);
  document.addEventListener("visibilitychange", look);
})();
