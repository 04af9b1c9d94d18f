"use strict";
// Calls `told` with every change that the platform tells; connects again when the connection was lost.
window.listen = (told) => {
  const connect = () => {
    const socket = new WebSocket(`wss://${location.host}/ws/live`);
    socket.addEventListener("message", (message) => told(JSON.parse(message.data)));
    socket.addEventListener("close", () => setTimeout(connect, 1000));
  };
  connect();
};
