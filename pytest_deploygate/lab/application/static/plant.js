"use strict";
{
  const canvas = document.getElementById("chart");
  const state = document.getElementById("chart-state");

  const draw = (points) => {
    const pen = canvas.getContext("2d");
    const { width, height } = canvas;
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = "#767676";
    pen.strokeRect(40.5, 10.5, width - 50, height - 30);
    state.textContent = points.length ? `(${points.length} points)` : "No data";
    const known = points.filter(([, value]) => value !== null);
    if (!known.length) return;
    const times = known.map(([at]) => at);
    const values = known.map(([, value]) => value);
    const [first, last] = [Math.min(...times), Math.max(...times)];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = (at) => 40 + ((at - first) / (last - first || 1)) * (width - 50);
    const y = (value) => height - 25 - ((value - low) / (high - low || 1)) * (height - 45);
    pen.fillStyle = "#1f2933";
    pen.font = "12px sans-serif";
    pen.fillText(high.toFixed(0), 4, 22);
    pen.fillText(low.toFixed(0), 4, height - 22);
    pen.strokeStyle = "#0b6e99";
    pen.lineWidth = 2;
    pen.beginPath();
    for (const [at, value] of known) pen.lineTo(x(at), y(value));
    pen.stroke();
  };

  if (canvas) {
    fetch(canvas.dataset.series)
      .then((answer) => {
        if (!answer.ok) throw new Error(`the series answered ${answer.status}`);
        return answer.json();
      })
      .then(({ points }) => draw(points))
      .catch((error) => {
        state.textContent = "No data";
        console.error(error.message);
      });
  }
  window.listen((event) => {
    const cell = document.getElementById(`live-${event.device}`);
    if (cell) cell.textContent = event.value;
  });
}
