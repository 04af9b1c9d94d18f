"use strict";
// The table follows the platform: its rows are made by the server, which also decides what this user may see.
{
  const refresh = async () => {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("#alerts tbody").replaceWith(page.querySelector("#alerts tbody"));
  };
  window.listen((event) => {
    if (event.raised || event.cleared) refresh();
  });
}
