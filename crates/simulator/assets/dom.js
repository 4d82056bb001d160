// Small helpers to build elements, and the icons. Used by every view.

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  const handlers = {};
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) handlers[name.slice(2)] = value;
    else if (name === "testid") element.dataset.testid = value;
    else if (name === "checked" || name === "disabled" || name === "value") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  listen(element, handlers);
  element.append(...present(children));
  return element;
}

const present = (children) => children.flat(3).filter((child) => child !== null && child !== undefined && child !== false && child !== "");

const handlersOf = new WeakMap();
/** What the element does from now on, also when it did something else before. */
function listen(element, handlers) {
  const known = handlersOf.get(element) ?? {};
  for (const name of Object.keys(handlers)) {
    if (!(name in known)) element.addEventListener(name, (event) => handlersOf.get(element)[name]?.(event));
  }
  const gone = Object.fromEntries(Object.keys(known).map((name) => [name, undefined]));
  handlersOf.set(element, { ...gone, ...handlers });
}

const PATHS = {
  back: '<path d="M15 4 7 12l8 8"/>',
  next: '<path d="m9 5 7 7-7 7"/>',
  more: '<g class="fill"><circle cx="5" cy="12" r="1.9"/><circle cx="12" cy="12" r="2.5"/><circle cx="19" cy="12" r="1.9"/></g>',
  dots: '<g class="fill"><circle cx="5.5" cy="12" r="1.7"/><circle cx="12" cy="12" r="1.7"/><circle cx="18.5" cy="12" r="1.7"/></g>',
  close: '<circle cx="12" cy="12" r="8.2"/><circle class="fill" cx="12" cy="12" r="3.1"/>',
  info: '<circle cx="12" cy="12" r="9"/><path d="M12 11v6"/><circle class="fill" cx="12" cy="7.6" r="1"/>',
  check: '<path d="m5 12.5 4.6 4.6L19 7.5"/>',
  bell: '<path d="M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4"/>',
  chat: '<path d="M4 11.5C4 7.4 7.6 4 12 4s8 3.4 8 7.5S16.4 19 12 19c-1 0-2-.2-2.9-.5L5.5 20l.7-3A7 7 0 0 1 4 11.5z"/>',
  signals: '<g class="fill"><rect x="0" y="9" width="3" height="4" rx=".8"/><rect x="4.6" y="6.5" width="3" height="6.5" rx=".8"/><rect x="9.2" y="3.5" width="3" height="9.5" rx=".8"/><rect x="13.8" y="0.5" width="3" height="12.5" rx=".8"/><rect x="26" y="2.5" width="17" height="9" rx="1.8"/><rect x="45.6" y="5" width="1.6" height="4" rx=".8"/></g><rect x="24" y="0.7" width="21" height="12.6" rx="3.6"/>',
};

export function icon(name, box = "0 0 24 24") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", box);
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = PATHS[name];
  return svg;
}

/** The app's icon: its first character on a colour of its own. */
export function appIcon(app, size = "") {
  let sum = 0;
  for (const c of app.appid) sum = (sum * 31 + c.charCodeAt(0)) % 6;
  return h("span", { class: `app-icon tint-${sum} ${size}`, "aria-hidden": "true" }, [...app.name][0] ?? "?");
}

/**
 * Makes the place hold these children, and changes only what differs: news from the server must not take a button
 * away between a finger's press and release, or a field from under an input method.
 */
export function fill(place, ...children) {
  patch(place, present(children).map((child) => (child instanceof Node ? child : document.createTextNode(child))));
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.id || node.dataset.testid)) || null;

function patch(place, children) {
  const keyed = new Map([...place.childNodes].map((node) => [keyOf(node), node]).filter(([key]) => key));
  let at = place.firstChild;
  for (const child of children) {
    const key = keyOf(child);
    const old = key ? keyed.get(key) : at && !keyOf(at) ? at : undefined;
    keyed.delete(key);
    if (!old || old.nodeName !== child.nodeName) {
      place.insertBefore(child, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else place.insertBefore(old, at);
    become(old, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function become(old, made) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== made.data) old.data = made.data;
    return;
  }
  if (old instanceof SVGElement) {
    if (!old.isEqualNode(made)) old.replaceWith(made);
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Who opened a part wants it open.
    if (!made.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
  }
  for (const { name, value } of made.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  listen(old, handlersOf.get(made) ?? {});
  // Read first: what is new in a select moves out of the one that was made.
  const controls = old.matches("input, select, textarea, button") ? ["checked", "disabled", "value"].map((name) => [name, made[name]]) : [];
  patch(old, [...made.childNodes]);
  for (const [name, value] of controls) if (old[name] !== value) old[name] = value;
}
