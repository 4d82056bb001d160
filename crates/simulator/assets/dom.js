// Small helpers to build elements, and the icons. Used by every view.

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "testid") element.dataset.testid = value;
    else if (name === "checked" || name === "disabled" || name === "value") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
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

/** Puts children in place of what was there, and keeps the keyboard where it was. */
export function fill(place, ...children) {
  const active = document.activeElement;
  const kept = active && place.contains(active) ? active.id || active.dataset?.testid : null;
  place.replaceChildren(...children.flat(3).filter((child) => child));
  if (!kept) return;
  const again = place.querySelector(`#${CSS.escape(kept)}, [data-testid="${CSS.escape(kept)}"]`);
  again?.focus({ preventScroll: true });
}
