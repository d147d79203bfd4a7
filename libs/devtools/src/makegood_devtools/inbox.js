"use strict";
const list = document.getElementById("list"), pane = document.getElementById("mail");
const query = document.getElementById("query"), count = document.getElementById("count");
let open = location.hash.slice(1), shown = "";

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function who(people) {
  return people.map((p) => (p.Name ? `${p.Name} <${p.Address}>` : p.Address)).join(", ");
}

// Messages that went to WhatsApp's development endpoint.
async function short(words) {
  try {
    const found = (await (await fetch("/api/v1/whatsapp")).json()).messages;
    return found.filter((chat) => !words || JSON.stringify(chat).toLowerCase().includes(words.toLowerCase()));
  } catch {
    return [];
  }
}

function spoken(chat) {
  return chat.Template.replace(/^makegood_/, "").replaceAll("_", " ");
}

async function refresh() {
  const words = query.value.trim();
  const path = words ? `/api/v1/search?limit=200&query=${encodeURIComponent(words)}` : "/api/v1/messages?limit=200";
  let page;
  try {
    page = await (await fetch(path)).json();
  } catch {
    count.textContent = "the mail server does not answer";
    return;
  }
  const chats = await short(words);
  const state = JSON.stringify([words, open, page.messages_count, page.messages[0]?.ID, chats.length, chats[0]?.ID]);
  if (state === shown) return;
  shown = state;
  count.textContent = `${page.messages_count} ${page.messages_count === 1 ? "mail" : "mails"}`
    + (chats.length ? `, ${chats.length} by WhatsApp` : "");
  const rows = [
    ...page.messages.map((mail) => ({ id: mail.ID, at: mail.Created, title: mail.Subject || "(no subject)", to: who(mail.To) })),
    ...chats.map((chat) => ({ id: chat.ID, at: chat.Created, title: `WhatsApp: ${spoken(chat)}`, to: `+${chat.To}` })),
  ].sort((one, other) => (one.at < other.at ? 1 : -1));
  list.replaceChildren(...rows.map((row) => {
    const button = make("button", {},
      make("b", { textContent: row.title }),
      make("span", {}, make("span", { textContent: row.to }),
        make("time", { textContent: new Date(row.at).toLocaleTimeString() })));
    button.setAttribute("aria-current", row.id === open);
    button.onclick = () => { location.hash = row.id; };
    return make("li", {}, button);
  }));
  if (!rows.length) list.append(make("li", { className: "empty", textContent: "No mail yet." }));
}

async function showShort() {
  const chat = (await short("")).find((one) => one.ID === open);
  if (!chat) {
    pane.replaceChildren(make("p", { className: "empty", textContent: "This message is gone." }));
    return;
  }
  const details = make("dl");
  for (const [name, value] of [["To", `+${chat.To}`], ["Template", `${chat.Template} (${chat.Language})`],
    ["Button", chat.Path], ["Date", new Date(chat.Created).toLocaleString()]]) {
    details.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
  }
  const filled = make("ol", {}, ...chat.Parameters.map((text) => make("li", { textContent: text })));
  pane.replaceChildren(back(), make("h2", { textContent: `WhatsApp: ${spoken(chat)}` }), details,
    make("p", { textContent: "The registered text, filled with:" }), filled);
}

function back() {
  return make("button", { className: "back", textContent: "‹ All messages", onclick: () => { location.hash = ""; } });
}

async function show() {
  open = location.hash.slice(1);
  refresh();
  document.body.classList.toggle("reading", Boolean(open));
  if (!open) return;
  if (open.startsWith("wamid.")) return showShort();
  const answer = await fetch(`/api/v1/message/${open}`);
  if (!answer.ok) {
    pane.replaceChildren(make("p", { className: "empty", textContent: "This mail is gone." }));
    return;
  }
  const mail = await answer.json();
  const details = make("dl");
  for (const [name, value] of [["From", who([mail.From])], ["To", who(mail.To)], ["Date", new Date(mail.Date).toLocaleString()]]) {
    details.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
  }
  const frame = make("iframe", { title: "The mail", src: `/view/${open}.html` });
  frame.setAttribute("sandbox", "allow-popups");
  const views = { HTML: frame, Text: make("pre", { textContent: mail.Text }) };
  const tabs = make("nav", { ariaLabel: "Parts of the mail" }), place = make("div", { style: "display:contents" });
  for (const name of Object.keys(views).filter((n) => mail[n])) {
    const tab = make("button", { textContent: name });
    tab.onclick = () => {
      place.replaceChildren(views[name]);
      for (const other of tabs.querySelectorAll("button")) other.setAttribute("aria-pressed", other === tab);
    };
    tabs.append(tab);
  }
  for (const part of [...mail.Attachments, ...mail.Inline]) {
    tabs.append(make("a", { href: `/api/v1/message/${open}/part/${part.PartID}`, textContent: `⬇ ${part.FileName || part.ContentType} (${part.Size} bytes)` }));
  }
  tabs.append(make("a", { href: `/api/v1/message/${open}/raw`, target: "_blank", textContent: "Source" }));
  pane.replaceChildren(back(), make("h2", { textContent: mail.Subject || "(no subject)" }), details, tabs, place);
  tabs.querySelector("button")?.click();
}

document.getElementById("clear").onclick = async () => {
  await fetch("/api/v1/messages", { method: "DELETE" });
  await fetch("/api/v1/whatsapp", { method: "DELETE" });
  location.hash = "";
  pane.replaceChildren(make("p", { className: "empty", textContent: "Choose a mail." }));
  refresh();
};
query.oninput = refresh;
window.onhashchange = show;
setInterval(refresh, 2000);
show();
