/* What htmx does not do: put live parts where they belong, keep times fresh, keys. */
(() => {
  "use strict";
  const $ = (what, where = document) => where.querySelector(what);
  const $$ = (what, where = document) => [...where.querySelectorAll(what)];
  const language = document.documentElement.lang;
  const told = document.body.dataset;
  const ago = new Intl.RelativeTimeFormat(language, { style: "narrow", numeric: "auto" });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const exact = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", second: "2-digit", fractionalSecondDigits: 3 });
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
  const full = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  let ahead = told.now ? Date.parse(told.now) - Date.now() : 0; // our clock counts, not the browser's

  /* Times */
  function since(moment) {
    const minutes = Math.floor((Date.now() + ahead - moment) / 60000);
    if (minutes < 1) return told.justnow;
    if (minutes < 60) return ago.format(-minutes, "minute");
    if (minutes < 24 * 60) return ago.format(-Math.floor(minutes / 60), "hour");
    if (minutes < 7 * 24 * 60) return ago.format(-Math.floor(minutes / 60 / 24), "day");
    return day.format(moment);
  }
  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
  function times(where = document) {
    for (const one of $$("time[datetime]", where)) {
      const moment = Date.parse(one.dateTime);
      if (Number.isNaN(moment)) continue;
      if ("ago" in one.dataset) write(one, since(moment));
      else if ("clock" in one.dataset) write(one, clock.format(moment));
      else if ("exact" in one.dataset) write(one, exact.format(moment));
      else if ("full" in one.dataset) write(one, full.format(moment));
      if (!one.title) one.title = full.format(moment);
    }
    for (const one of $$(".window[data-until]", where)) {
      const left = Math.floor((Date.parse(one.dataset.until) - Date.now() - ahead) / 60000);
      one.classList.toggle("shut", left < 0);
      const [h, m] = [Math.floor(left / 60), left % 60];
      const amount = (h ? one.dataset.h : one.dataset.m).replace("{h}", h).replace("{m}", m);
      write($(".words", one), left < 0 ? one.dataset.shut : one.dataset.open.replace("{left}", amount));
    }
  }

  /* Live parts: an element with an id replaces the one that is there, or goes where data-into and data-order say. */
  function place(fresh) {
    const old = document.getElementById(fresh.id);
    if ("gone" in fresh.dataset) {
      if (old) old.remove();
      return;
    }
    const wanted = fresh.dataset.into;
    const into = wanted ? $(wanted) : null;
    const found = wanted && !into && old && old.closest('[data-view="search"]'); // a search shows what it found
    if (wanted && !old && fresh.matches(".entry") && $('#list[data-view="search"]')) return; // and nobody else
    const focused = old && old.contains(document.activeElement) ? document.activeElement : null;
    const within = focused && focused.id ? `#${focused.id}` : focused ? focused.tagName : "";
    if (old && (!wanted || found || (old.parentNode === into && old.dataset.order === fresh.dataset.order))) {
      old.replaceWith(fresh);
    } else {
      if (old) old.remove();
      if (!into) return;
      const down = into.dataset.sort === "down";
      const before = [...into.children].find((one) =>
        down ? one.dataset.order < fresh.dataset.order : one.dataset.order > fresh.dataset.order);
      into.insertBefore(fresh, before || null);
    }
    htmx.process(fresh);
    if (within) {
      const again = fresh.matches(within) ? fresh : $(within, fresh);
      if (again) again.focus({ preventScroll: true });
    }
  }
  function patch(html) {
    const parsed = document.createElement("template");
    parsed.innerHTML = html;
    const scroll = $("#scroll");
    const atEnd = scroll && scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
    for (const fresh of [...parsed.content.children]) {
      if (fresh.matches(".bubble.bot") && !document.getElementById(fresh.id)) refreshDetails();
      times(fresh);
      place(fresh);
    }
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
    current();
    const nothing = $(".nothing");
    if (nothing && $(".bubble")) nothing.remove();
  }
  let refreshing;
  function refreshDetails() { // an answer was given: what the agent was told is another
    clearTimeout(refreshing);
    refreshing = setTimeout(() => {
      const chat = $("#chat");
      if (chat && chat.dataset.chat && $("#aside:not(.explain)") && matchMedia("(min-width: 1180px)").matches) {
        htmx.ajax("GET", `/chats/${chat.dataset.chat}/details`, { target: "#aside", swap: "outerHTML" });
      }
    }, 700);
  }
  function current() {
    const chat = $("#chat") ? $("#chat").dataset.chat : "";
    for (const one of $$(".entry a")) {
      if (one.dataset.chat === chat) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
    const waiting = Number(($("#count-waiting") || { dataset: {} }).dataset.count || 0);
    document.title = document.title.replace(/^\(\d+\) /, waiting ? "" : "");
    if (waiting) document.title = `(${waiting}) ${document.title}`;
  }

  let lost = false;
  function connection(is) {
    const banner = $("#banner");
    if (!banner) return;
    if (!is) {
      banner.textContent = told.lost;
      banner.classList.add("on");
      if (!lost) fetch("/list", { headers: { "HX-Request": "true" } }) // was it the session that ended?
        .then((answer) => { if (answer.status === 401) location.assign("/login"); }, () => {});
      lost = true;
    } else if (lost) {
      lost = false;
      banner.textContent = "";
      banner.classList.remove("on");
      if ($("#list")) htmx.trigger("#list", "again"); // what was missed meanwhile
      const chat = $("#chat");
      if (chat && chat.dataset.chat) htmx.ajax("GET", `/chats/${chat.dataset.chat}`, { target: "#chat", swap: "outerHTML" });
    }
  }
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    event.preventDefault();
    if (event.detail.type === "clock") {
      ahead = Date.parse(event.detail.data) - Date.now();
      times();
    } else patch(event.detail.data);
  });
  document.addEventListener("htmx:sseError", (event) => {
    if (document.body.contains(event.detail.elt || event.target)) connection(false);
  });
  document.addEventListener("htmx:sseOpen", () => connection(true));

  /* Saying what went wrong */
  let toasting;
  function toast(text) {
    const place = $("#toast");
    if (!place) return;
    place.textContent = text;
    clearTimeout(toasting);
    toasting = setTimeout(() => { place.textContent = ""; }, 6000);
  }
  document.addEventListener("htmx:responseError", (event) => {
    const answer = event.detail.xhr;
    toast(answer.status < 500 && answer.responseText.length < 200 && answer.responseText ? answer.responseText : told.failed);
  });
  document.addEventListener("htmx:sendError", () => toast(told.failed));

  /* What is being written outlives a swap of its chat, and a reply is reset only as far as it was sent. */
  let kept = null;
  let sent = "";
  const mark = () => [...crypto.getRandomValues(new Uint32Array(4))].map((one) => one.toString(36)).join("");
  document.addEventListener("htmx:beforeSwap", (event) => {
    const reply = $("#reply");
    if (!event.detail.shouldSwap || event.detail.target.id !== "chat" || !reply || !reply.value) return;
    kept = { chat: $("#chat").dataset.chat, text: reply.value, mark: $("#mark").value, typing: reply === document.activeElement };
  });
  function restore() {
    const reply = $("#reply");
    if ($("#mark") && !$("#mark").value) $("#mark").value = mark();
    if (!kept || !reply || reply.value) return;
    if ($("#chat").dataset.chat === kept.chat) {
      reply.value = kept.text;
      $("#mark").value = kept.mark;
      if (kept.typing) reply.focus({ preventScroll: true });
    }
    kept = null;
  }
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.id === "saying") sent = $("#reply").value;
  });

  /* After every swap */
  document.addEventListener("htmx:afterSwap", (event) => {
    const appended = $("[data-append]");
    if (appended) {
      const into = $(appended.dataset.append);
      for (const one of $$("li.entry", appended.parentNode)) if (one.parentNode !== into) into.append(one);
      appended.remove();
    }
    settle(event.target);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target.id === "saying" && event.detail.xhr && event.detail.xhr.getResponseHeader("x-hilo-asked") === "yes") {
      const reply = $("#reply");
      reply.value = reply.value.startsWith(sent) ? reply.value.slice(sent.length) : reply.value;
      kept = null;
      $("#mark").value = mark(); // the next text is another one, also where it has the same words
      reply.focus();
    }
  });
  function settle(target) {
    restore();
    times();
    current();
    if (!target || target.id === "chat" || !target.isConnected) {
      const scroll = $("#scroll");
      if (scroll) scroll.scrollTop = scroll.scrollHeight;
    }
    const fold = $(".fold");
    if (fold && matchMedia("(max-width: 1179px)").matches && (!target || target.id !== "aside")) fold.open = false;
    if (target && target.id === "aside" && matchMedia("(max-width: 1179px)").matches) $("#aside").scrollIntoView();
  }

  /* Keys */
  function move(by) {
    const entries = $$(".entry a");
    if (!entries.length) return;
    const at = entries.indexOf(document.activeElement);
    const from = at >= 0 ? at : entries.findIndex((one) => one.hasAttribute("aria-current"));
    entries[Math.max(0, Math.min(entries.length - 1, from + by))].focus();
  }
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input, textarea, select");
    if (event.target.id === "reply" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      $("#saying").requestSubmit();
      return;
    }
    if (event.key === "Escape" && field) {
      field.blur();
      return;
    }
    if (field || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (event.key === "j" || event.key === "k") return move(event.key === "j" ? 1 : -1);
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && $("#list") && ($("#list").contains(event.target) || event.target === document.body)) {
      event.preventDefault();
      return move(event.key === "ArrowDown" ? 1 : -1);
    }
    const wanted = $$("[data-key]").find((one) => one.dataset.key === event.key && !one.disabled);
    if (!wanted) return;
    event.preventDefault();
    if (wanted.matches("input, textarea")) wanted.focus();
    else wanted.click();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#help-open")) $("#help").showModal();
  });

  setInterval(times, 15000);
  settle(null);
})();
