"use strict";
(function () {
  var lost = document.getElementById("lost"), live = document.getElementById("live"), heard = Date.now(), skew = 0;
  function ticking() {
    if (Date.now() - heard > 15000) { lost.hidden = false; }
    document.querySelectorAll("[data-until]").forEach(function (it) {
      var left = Math.round((Date.parse(it.dataset.until) - Date.now() - skew) / 1000);
      var two = function (n) { return (n < 10 ? "0" : "") + n; };
      it.textContent = left <= 0 ? "expired" : Math.floor(left / 60) + ":" + two(left % 60) + " left";
    });
  }
  var events = new EventSource("events" + location.search);
  events.onerror = function () { lost.hidden = false; };
  events.addEventListener("alive", function (e) { heard = Date.now(); skew = Number(e.data) - heard; lost.hidden = true; });
  events.addEventListener("page", function (e) {
    heard = Date.now();
    var open = Array.prototype.map.call(live.querySelectorAll("details[open]"), function (it) { return it.id; });
    live.innerHTML = JSON.parse(e.data);
    open.forEach(function (id) { var it = document.getElementById(id); if (it) { it.open = true; } });
    lost.hidden = true;
    ticking();
  });
  setInterval(ticking, 1000);
})();
