"use strict";
(function () {
  var lost = document.getElementById("lost"), heard = Date.now(), skew = 0;
  function ticking() {
    if (Date.now() - heard > 15000) { lost.hidden = false; }
    document.querySelectorAll("[data-until]").forEach(function (it) {
      var left = Math.round((Date.parse(it.dataset.until) - Date.now() - skew) / 1000);
      var two = function (n) { return (n < 10 ? "0" : "") + n; };
      it.textContent = left <= 0 ? "expired" : Math.floor(left / 60) + ":" + two(left % 60) + " left";
    });
  }
  function replaced(part, html) {
    var states = Array.prototype.map.call(part.querySelectorAll("details"), function (it) { return it.open; });
    var focused = Array.prototype.indexOf.call(part.querySelectorAll("summary"), document.activeElement);
    part.innerHTML = html;
    part.querySelectorAll("details").forEach(function (it, n) { it.open = Boolean(states[n]); });
    if (focused >= 0 && part.querySelectorAll("summary")[focused]) { part.querySelectorAll("summary")[focused].focus(); }
  }
  var events = new EventSource("events" + location.search);
  events.onerror = function () { lost.hidden = false; };
  events.addEventListener("alive", function (e) { heard = Date.now(); skew = Number(e.data) - heard; lost.hidden = true; });
  events.addEventListener("parts", function (e) {
    heard = Date.now();
    var parts = JSON.parse(e.data);
    Object.keys(parts).forEach(function (name) {
      var part = document.getElementById(name);
      if (part) { replaced(part, parts[name]); }
    });
    lost.hidden = true;
    ticking();
  });
  setInterval(ticking, 1000);
})();
