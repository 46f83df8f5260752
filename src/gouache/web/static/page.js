// What htmx does not do: local times, copying, a steady view while somebody types, and saying that
// the connection is lost. Every page is whole without it.
(() => {
  "use strict";

  const AGAIN_MS = 3000;
  const LOST = "The connection to the server is lost; trying again.";
  const trouble = document.getElementById("trouble");
  const said = document.getElementById("said");

  const prepare = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime);
      time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      time.title = time.dateTime;
    }
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  };

  const copy = async (button) => {
    const field = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied.";
    } catch {
      field.focus();
      field.select();
      said.textContent = "The browser does not let us copy; the text is selected.";
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });

  // Where somebody types stays where it is on the screen, whatever is put in above it.
  let held = null;
  const hold = () => {
    const active = document.activeElement;
    if (held || !active?.matches("main :is(input, textarea, select)")) return;
    held = { active, top: active.getBoundingClientRect().top };
  };
  const release = () => {
    if (!held) return;
    const { active, top } = held;
    held = null;
    if (!active.isConnected || active !== document.activeElement) return;
    window.scrollBy({ top: active.getBoundingClientRect().top - top, behavior: "instant" });
  };
  document.addEventListener("htmx:before:swap", hold);
  document.addEventListener("htmx:after:swap", () => {
    prepare();
    // Two frames: browsers that hold the view by themselves have done so by then.
    requestAnimationFrame(() => requestAnimationFrame(release));
  });

  // A stream that could not even begin is not begun again by its extension.
  const isStream = (element) => element?.hasAttribute?.("hx-sse:connect");
  const again = (event) => {
    const element = event.detail?.ctx?.sourceElement;
    if (!isStream(element)) return;
    setTimeout(() => element.isConnected && htmx.trigger(element, "again"), AGAIN_MS);
  };
  document.addEventListener("htmx:error", again);
  document.addEventListener("htmx:response:error", again);
  document.addEventListener("htmx:sse:error", (event) => {
    const ended = event.detail.status === 401;
    trouble.textContent = ended ? "You are logged out; log in again in another tab." : LOST;
  });
  document.addEventListener("htmx:sse:after:connection", () => {
    trouble.textContent = "";
  });

  prepare();
})();
