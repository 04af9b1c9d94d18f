"use strict";
// Nothing is counted and nothing is kept before somebody has chosen; after "Refuse" only that choice is kept.
{
  const banner = document.getElementById("consent");
  const early = document.currentScript.hasAttribute("data-early");
  const chosen = /(?:^|; )consent=(\w+)/.exec(document.cookie)?.[1];

  const count = () => {
    document.cookie = `analytics=${crypto.randomUUID()}; Path=/; Secure; SameSite=Lax; Max-Age=2592000`;
    fetch(`${banner.dataset.thirdParty}/collect`, { method: "POST", mode: "no-cors", body: location.pathname });
  };

  if (early) document.cookie = `analytics=${crypto.randomUUID()}; Path=/; Secure; SameSite=Lax`;
  if (chosen === "accepted") count();
  if (!chosen) banner.hidden = false;
  for (const button of banner.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      document.cookie = `consent=${button.dataset.choice}; Path=/; Secure; SameSite=Lax; Max-Age=15552000`;
      banner.hidden = true;
      if (button.dataset.choice === "accepted") count();
    });
  }
}
