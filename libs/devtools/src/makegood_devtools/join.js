"use strict";
// The token leaves the address bar at once, so that neither the history nor a shared screen keeps it.
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

async function ask() {
  const answer = document.getElementById("answer");
  if (!token) {
    answer.textContent = "This link gives no access. Press Join in the app.";
    return;
  }
  try {
    const response = await fetch("/join/verify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    const told = await response.json();
    answer.textContent = response.ok
      ? `The link is good: ${told.person_id} comes in as the ${told.party}, until ${told.ends_at}.`
      : `The link opens nothing: ${told.detail}`;
  } catch {
    answer.textContent = "We could not check the link. Try again.";
  }
}

document.addEventListener("DOMContentLoaded", ask);
