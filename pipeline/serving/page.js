// What Gradio's page lacks: the slider between grey and coloured by keyboard, and words for screen readers.

const STEPS = { ArrowLeft: -0.05, ArrowDown: -0.05, ArrowRight: 0.05, ArrowUp: 0.05 };
const FAR = { PageDown: -0.2, PageUp: 0.2, Home: -1, End: 1 };
const SLIDER = { role: "slider", tabindex: 0, "aria-label": "Grey on its left, coloured on its right" };
const RANGE = { "aria-valuemin": 0, "aria-valuemax": 100 };

// Make the handle of a slider one for keyboards, too: what Gradio heeds is the mouse, so a key becomes a click.
function enable(handle) {
  const [grey, coloured] = handle.parentElement.querySelectorAll("img");
  const line = handle.querySelector(".inner");
  const within = (place) => Math.min(1, Math.max(0, place));

  function place() {
    const picture = grey.getBoundingClientRect(), shown = line.getBoundingClientRect();
    return picture.width ? within((shown.left + shown.width / 2 - picture.left) / picture.width) : 0.5;
  }

  function tell() {
    handle.setAttribute("aria-valuenow", Math.round(100 * place()));
  }

  function move(event) {
    const step = { ...STEPS, ...FAR }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own
    const picture = grey.getBoundingClientRect();
    const clientX = Math.round(picture.left + picture.width * within(place() + step));
    for (const kind of ["mousedown", "mouseup"])
      handle.dispatchEvent(new MouseEvent(kind, { clientX, view: window, bubbles: true, cancelable: true }));
    event.preventDefault();
  }

  [grey.alt, coloured.alt] = ["The photograph in grey", "The photograph in colour"];
  for (const [name, value] of Object.entries({ ...SLIDER, ...RANGE })) handle.setAttribute(name, value);
  handle.addEventListener("keydown", move);
  new MutationObserver(tell).observe(handle, { attributeFilter: ["style"] });
  tell();
}

new MutationObserver(() => {
  for (const handle of document.querySelectorAll("[data-testid=slider]:not([role=slider])")) enable(handle);
  for (const button of document.querySelectorAll(".upload-container[aria-label]"))
    button.removeAttribute("aria-label"); // its own words are its name
}).observe(document, { childList: true, subtree: true });
