// Shows the one document of all services with Swagger UI, and mends what keeps people with keyboards and screen readers out.
"use strict";

(function () {
  const stage = document.getElementById("api");
  const LEVELS = { ".info .title": "1", ".opblock-tag": "2", ".modal-ux-header h3": "2", ".modal-ux-content h4": "3", h4: "3", h5: "4" };
  const SELECTS = { servers: "Server", "content-type": "Media type", "examples-select-element": "Example" };
  const PARTS = {
    ".information-container": ["region", "About this API"],
    ".schemes-server-container": ["region", "Server"],
    ".modal-ux": ["dialog", "Authorize"],
  };

  // Only what differs is set: each change wakes the observer again.
  function set(node, name, value) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }

  function each(selector, change) {
    stage.querySelectorAll(selector).forEach(change);
  }

  function mend() {
    each("main, [role='main']", (node) => node.closest("#api") && node.tagName !== "MAIN" && node.removeAttribute("role"));
    each("button a[href]", (link) => link.removeAttribute("href")); // the button does what the link did
    for (const [selector, level] of Object.entries(LEVELS)) {
      each(selector, (node) => node.hasAttribute("aria-level") || (set(node, "role", "heading"), set(node, "aria-level", level)));
    }
    each("select", (node) => {
      const known = Object.keys(SELECTS).find((name) => node.id === name || node.classList.contains(name));
      set(node, "aria-label", SELECTS[known] || node.closest("tr")?.dataset.paramName || "Choice");
    });
    each("textarea, input", (node) => node.labels.length || node.hasAttribute("aria-label") || set(node, "aria-label", node.placeholder || "Request body"));
    for (const [selector, [role, label]] of Object.entries(PARTS)) {
      each(selector, (node) => (set(node, "role", role), set(node, "aria-label", label)));
    }
    each(".close-modal", (node) => set(node, "aria-label", "Close"));
    each("button[type='submit'][aria-label]", (node) => node.removeAttribute("aria-label"));
    each("pre, .microlight", (node) => set(node, "tabindex", "0"));
  }

  new MutationObserver(mend).observe(stage, { childList: true, subtree: true });
  SwaggerUIBundle({
    url: stage.dataset.document,
    domNode: stage,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
    tryItOutEnabled: true,
    validatorUrl: null,
  });
})();
