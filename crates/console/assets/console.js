// What pages do beyond forms and links. Without this file everything but copying, live numbers and previews works.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function theme() {
    var kept = null;
    try { kept = localStorage.getItem("hongyan-theme"); } catch (e) { /* storage may be shut */ }
    root.setAttribute("data-bs-theme", kept || (dark.matches ? "dark" : "light"));
  }
  theme();
  dark.addEventListener("change", theme);

  document.addEventListener("click", function (event) {
    var copy = event.target.closest("[data-copy]");
    if (copy) {
      var text = copy.getAttribute("data-copy");
      var said = copy.textContent;
      navigator.clipboard.writeText(text).then(function () {
        copy.textContent = copy.getAttribute("data-copied") || "✓";
        setTimeout(function () { copy.textContent = said; }, 1500);
      });
      return;
    }
    if (event.target.closest("[data-theme]")) {
      var next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      try { localStorage.setItem("hongyan-theme", next); } catch (e) { /* only for this page, then */ }
      root.setAttribute("data-bs-theme", next);
      return;
    }
    var insert = event.target.closest("[data-insert]");
    if (insert) {
      var field = document.getElementById(insert.getAttribute("data-into"));
      if (!field) { return; }
      var at = field.selectionStart === null ? field.value.length : field.selectionStart;
      var word = insert.getAttribute("data-insert");
      field.setRangeText(word, at, field.selectionEnd, "end");
      field.focus();
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  document.addEventListener("submit", function (event) {
    var asked = event.target.getAttribute("data-confirm");
    if (asked && !window.confirm(asked)) { event.preventDefault(); return; }
    // Twice pressed is once meant.
    var button = event.submitter;
    if (button && !event.target.hasAttribute("hx-post")) { setTimeout(function () { button.disabled = true; }, 0); }
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("button:disabled[type=submit]:not([data-off])").forEach(function (button) { button.disabled = false; });
  });
  document.addEventListener("DOMContentLoaded", function () {
    var menu = document.querySelector(".side > details");
    if (menu && window.matchMedia("(max-width: 60rem)").matches) { menu.removeAttribute("open"); }
  });
  // WeChat counts UTF-16 units.
  document.addEventListener("input", function (event) {
    var counter = event.target.id && document.querySelector('[data-count="' + event.target.id + '"]');
    if (counter) { counter.textContent = String(event.target.value.length); }
  });
  document.addEventListener("change", function (event) {
    if (event.target.hasAttribute("data-go")) { event.target.form.submit(); }
  });
})();
