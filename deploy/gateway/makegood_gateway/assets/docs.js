// Merges the services' OpenAPI documents as they are now and hands the result to Swagger UI.
"use strict";

(function () {
  const stage = document.getElementById("api");
  const services = stage.dataset.services.split(" ");

  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  // Two services may use one name for different things; the later one is then told apart by its service.
  function namesApart(service, document, merged) {
    const renamed = new Map();
    for (const [kind, entries] of Object.entries(document.components || {})) {
      for (const [name, value] of Object.entries(entries)) {
        const taken = (merged.components[kind] || {})[name];
        if (taken !== undefined && !same(taken, value)) {
          renamed.set(`#/components/${kind}/${name}`, `${service}.${name}`);
        }
      }
    }
    return renamed;
  }

  function withNames(value, renamed) {
    if (Array.isArray(value)) return value.map((item) => withNames(item, renamed));
    if (value === null || typeof value !== "object") return value;
    const copy = {};
    for (const [key, item] of Object.entries(value)) {
      const points = key === "$ref" && renamed.has(item);
      copy[key] = points ? item.replace(/[^/]+$/, renamed.get(item)) : withNames(item, renamed);
    }
    return copy;
  }

  function add(merged, service, original) {
    const renamed = namesApart(service, original, merged);
    const document = withNames(original, renamed);
    for (const [kind, entries] of Object.entries(document.components || {})) {
      const target = (merged.components[kind] = merged.components[kind] || {});
      for (const [name, value] of Object.entries(entries)) {
        target[renamed.get(`#/components/${kind}/${name}`) || name] = value;
      }
    }
    for (const [path, item] of Object.entries(document.paths || {})) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation && typeof operation === "object" && !Array.isArray(operation)) {
          operation.tags = [service];
          if (document.security && !operation.security) operation.security = document.security;
        }
        merged.paths[path] = merged.paths[path] || {};
        merged.paths[path][method] = operation;
      }
    }
    merged.tags.push({ name: service, description: (document.info || {}).description || "" });
  }

  async function read(service) {
    const answer = await fetch(`/v1/${service}/openapi.json`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.json();
  }

  async function show() {
    const merged = {
      openapi: "3.1.0",
      info: { title: "Makegood", version: "1", description: "All services, through the gateway." },
      tags: [],
      paths: {},
      components: {},
    };
    // What a document says of security itself goes before this.
    merged.components.securitySchemes = { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } };
    merged.security = [{ token: [] }];
    const documents = await Promise.allSettled(services.map(read));
    const missing = services.filter((_, index) => documents[index].status === "rejected");
    documents.forEach((document, index) => {
      if (document.status === "fulfilled") add(merged, services[index], document.value);
    });
    if (missing.length) {
      const note = document.getElementById("missing");
      note.textContent = `Not answering now, so not shown: ${missing.join(", ")}. Reload the page in a moment.`;
      note.hidden = false;
    }
    SwaggerUIBundle({
      spec: merged,
      domNode: stage,
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      persistAuthorization: false,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  }

  show();
})();
