"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const FIRST = 3, HISTORY = 60, RATE = FIRST + 5, TIME = FIRST + 7;
  const set = document.body.dataset, every = Math.max(1, Number(set.every)) * 1000;
  for (const e of document.querySelectorAll(".nojs")) e.hidden = true;
  document.querySelector(".tools").hidden = false;

  // What the page shows, by the keys of the rows. Cells of a row stand in the order of the data.
  const rows = new Map();
  for (const tr of document.querySelectorAll("tr[data-k]")) {
    const state = tr.querySelector(".state span"), check = tr.querySelector(".check");
    const cells = [];
    for (let td = tr.querySelector(".state").nextElementSibling; td !== check; td = td.nextElementSibling) cells.push(td);
    const name = tr.querySelector(".name").firstChild;
    rows.set(tr.dataset.k, {
      tr, state, check, cells, name: name ? name.data : "", proxy: tr.closest("section"), trend: tr.querySelector(".trend"),
      server: tr.classList.contains("server"), rate: [], time: [], last: [], seen: false, draw: false,
    });
  }
  const sections = new Map();
  for (const r of rows.values()) {
    if (!sections.has(r.proxy)) sections.set(r.proxy, { name: r.proxy.querySelector("h2").textContent.toLowerCase(), rows: [] });
    sections.get(r.proxy).rows.push(r);
  }
  const labels = [...document.querySelectorAll("thead tr")].slice(0, 1).flatMap((tr) => [...tr.querySelectorAll("th.num")].map((th) => th.textContent));

  const group = (n) => n < 10000 ? String(n) : String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const bytes = (n) => {
    let u = 0;
    for (; n >= 1024 && u < 5; u++) n /= 1024;
    return n.toFixed(u > 0 && n < 10 ? 1 : 0) + [" B", " KiB", " MiB", " GiB", " TiB", " PiB"][u];
  };
  const span = (n) => n < 60 ? n + " s" : n < 3600 ? (n / 60 | 0) + " m " + n % 60 + " s"
    : n < 86400 ? (n / 3600 | 0) + " h " + (n % 3600 / 60 | 0) + " m" : (n / 86400 | 0) + " d " + (n % 86400 / 3600 | 0) + " h";
  const forms = { In: bytes, Out: bytes, Response: (n) => n + " ms", Since: span };
  const format = labels.map((l) => forms[l] || group);
  const look = (s) => s === "UP" || s === "OPEN" ? "up" : /^(UP |FULL|WAITING)/.test(s) ? "warn" : /^(DOWN|STOP)/.test(s) ? "down"
    : s.startsWith("MAINT") ? "maint" : /^(DRAIN|NOLB)/.test(s) ? "drain" : "none";
  const looks = ["up", "warn", "down", "maint", "drain", "none"];

  // Charts: those of rows are drawn while they are in sight.
  const NS = "http://www.w3.org/2000/svg";
  const chart = (w, h, ...paths) => {
    const svg = document.createElementNS(NS, "svg");
    for (const [k, v] of Object.entries({ viewBox: `0 0 ${w} ${h}`, width: w, height: h, preserveAspectRatio: "none", "aria-hidden": "true" })) svg.setAttribute(k, v);
    for (const c of paths) {
      const p = document.createElementNS(NS, "path");
      p.setAttribute("class", c);
      svg.append(p);
    }
    return svg;
  };
  const line = (list, w, h) => {
    const most = Math.max(1, ...list), step = w / (HISTORY - 1), from = HISTORY - list.length;
    return list.map((v, i) => `${i ? "L" : "M"}${((from + i) * step).toFixed(1)} ${(h - 1 - v / most * (h - 2)).toFixed(1)}`).join("");
  };
  const plot = (svg, rate, time) => {
    const { width: w, height: h } = svg.viewBox.baseVal;
    for (const p of svg.children) {
      const list = p.getAttribute("class") === "time" ? time : rate;
      let d = list.length > 1 ? line(list, w, h) : "";
      if (d && p.getAttribute("class") === "area") d += `L${w} ${h}L${((HISTORY - list.length) * w / (HISTORY - 1)).toFixed(1)} ${h}Z`;
      p.setAttribute("d", d);
    }
  };
  const draw = (r) => {
    if (!r.svg) r.trend.append(r.svg = chart(96, 22, "area", "rate", "time"));
    plot(r.svg, r.rate, r.time);
  };
  const watch = new IntersectionObserver((list) => {
    for (const e of list) {
      const r = rows.get(e.target.dataset.k);
      if ((r.seen = e.isIntersecting) && r.draw) draw(r), r.draw = false;
    }
  }, { rootMargin: "200px" });
  for (const r of rows.values()) watch.observe(r.tr);
  for (const [section, s] of sections) {
    const box = section.querySelector(".charts");
    s.sum = s.rows.filter((r) => r.tr.classList.contains("sum")).pop() || s.rows[0];
    for (const [kind, title] of [["rate", "per second"], ["time", "response"]]) {
      if (kind === "time" && !s.sum.cells[TIME - FIRST].dataset.l) continue;
      const div = document.createElement("div"), b = document.createElement("b");
      div.className = "chart";
      div.append(s[kind + "Svg"] = chart(120, 30, ...kind === "rate" ? ["area", "rate"] : ["time"]), s[kind + "Now"] = b, title);
      box.append(div);
    }
  }
  const keep = (list, v) => {
    list.push(v || 0);
    if (list.length > HISTORY) list.shift();
  };

  // New data: only what changed is touched.
  const apply = (data) => {
    for (const dd of document.querySelectorAll("[data-tile]")) {
      const i = Number(dd.dataset.tile), v = data.tiles[i];
      if (v < 0) continue;
      dd.firstChild.data = { s: span, n: group, "%": (n) => n + " %" }[dd.dataset.form](v);
    }
    let known = 0;
    for (const d of data.rows) {
      const r = rows.get(d[0]);
      if (!r) continue;
      known++;
      if (r.last[1] !== d[1]) {
        r.state.textContent = d[1];
        r.tr.classList.remove(...looks);
        r.tr.classList.add(look(d[1]));
      }
      if (r.last[2] !== d[2]) r.check.textContent = d[2];
      for (let i = FIRST; i < d.length; i++) {
        if (r.last[i] === d[i] || d[i] === null) continue;
        const td = r.cells[i - FIRST];
        td.dataset.v = d[i];
        td.dataset.l = labels[i - FIRST];
        td.textContent = format[i - FIRST](d[i]);
        td.classList.toggle("zero", d[i] === 0);
      }
      r.last = d;
      keep(r.rate, d[RATE]);
      keep(r.time, d[TIME]);
      if (r.seen) draw(r);
      else r.draw = true;
    }
    for (const s of sections.values()) {
      const l = s.sum.last;
      if (!l.length) continue;
      plot(s.rateSvg, s.sum.rate, []);
      s.rateNow.textContent = group(l[RATE] || 0);
      if (s.timeSvg) {
        plot(s.timeSvg, [], s.sum.time);
        s.timeNow.textContent = (l[TIME] || 0) + " ms";
      }
    }
    const stale = known !== data.rows.length || known !== rows.size;
    if (stale) tell("What there is has changed.", "Show it");
    else $("stale").hidden = true;
    filter();
    order();
  };
  const tell = (text, link) => {
    const p = $("stale");
    if (!p.hidden && p.dataset.text === text) return;
    p.dataset.text = text;
    p.textContent = text;
    if (link) {
      const a = document.createElement("a");
      a.href = location.href;
      a.textContent = link;
      p.append(a);
    }
    p.hidden = false;
  };

  // Filter.
  const filter = () => {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), trouble = $("trouble").getAttribute("aria-pressed") === "true";
    let shown = 0, servers = 0, up = 0;
    for (const [section, s] of sections) {
      let any = false;
      for (const r of s.rows) {
        const state = r.state.textContent, text = s.name + " " + r.name.toLowerCase() + " " + state.toLowerCase() + " " + r.check.textContent.toLowerCase();
        const bad = !["up", "none"].includes(look(state));
        const fits = words.every((w) => text.includes(w)) && (!trouble || bad);
        if (r.server) {
          servers++;
          if (!bad) up++;
          if (fits) shown++;
        }
        any = any || fits;
        r.fits = fits;
      }
      // With a server stands what it belongs to.
      for (const r of s.rows) {
        const hide = !(r.fits || any && r.tr.classList.contains("sum"));
        if (r.tr.hidden !== hide) r.tr.hidden = hide;
      }
      if (section.hidden === any) section.hidden = !any;
    }
    const text = (shown < servers ? shown + " of " : "") + servers + (servers === 1 ? " server, " : " servers, ") + up + " well";
    if ($("count").textContent !== text) $("count").textContent = text;
  };
  $("filter").addEventListener("input", filter);
  $("trouble").addEventListener("click", (e) => {
    e.target.setAttribute("aria-pressed", String(e.target.getAttribute("aria-pressed") !== "true"));
    filter();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      e.preventDefault();
      $("filter").focus();
    } else if (e.key === "Escape" && document.activeElement === $("filter")) {
      $("filter").value = "";
      filter();
    }
  });

  // Sort: servers, among themselves.
  const collator = new Intl.Collator(undefined, { numeric: true });
  const value = (r, by) => {
    if (by === "name") return r.name;
    if (by === "state") return r.state.textContent;
    if (by === "check") return r.check.textContent;
    return Number(r.cells[by].dataset.v || -1);
  };
  const orderOf = (s) => {
    if (!s.by) return;
    const list = s.rows.filter((r) => r.server);
    if (!list.length) return;
    const [by, down] = s.by;
    const sorted = [...list].sort((x, y) => {
      const a = value(x, by), b = value(y, by);
      const c = typeof a === "number" ? a - b : collator.compare(a, b);
      return (down ? -c : c) || x.tr.sectionRowIndex - y.tr.sectionRowIndex;
    });
    const body = list[0].tr.parentNode, trs = [...body.rows].filter((tr) => tr.classList.contains("server"));
    if (sorted.every((r, i) => r.tr === trs[i])) return;
    const next = trs[trs.length - 1].nextSibling;
    for (const r of sorted) body.insertBefore(r.tr, next);
  };
  const order = () => {
    // Not while somebody is at a row.
    if (document.activeElement && document.activeElement.closest("tbody")) return;
    for (const s of sections.values()) orderOf(s);
  };
  for (const [section, s] of sections) {
    let n = 0;
    for (const th of section.querySelectorAll("thead th[data-sort]")) {
      const by = th.classList.contains("num") ? n++ : th.dataset.sort;
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = th.textContent;
      th.textContent = "";
      th.append(b);
      b.addEventListener("click", () => {
        const down = th.getAttribute("aria-sort") ? th.getAttribute("aria-sort") === "ascending" : typeof by === "number";
        for (const o of section.querySelectorAll("th[aria-sort]")) o.removeAttribute("aria-sort");
        th.setAttribute("aria-sort", down ? "descending" : "ascending");
        s.by = [by, down];
        orderOf(s);
      });
    }
  }

  // Data comes as long as somebody can see it.
  let timer = 0, paused = set.paused === "true", asking = false;
  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden || paused || asking) return;
    asking = true;
    try {
      const res = await fetch(set.live, { credentials: "same-origin", cache: "no-store", redirect: "error" });
      if (!res.ok) throw new Error(res.status);
      const data = await res.json(), begin = performance.now();
      apply(data);
      requestAnimationFrame(() => setTimeout(() => {
        set.paint = (performance.now() - begin).toFixed(1);
        set.polls = Number(set.polls || 0) + 1;
      }));
    } catch {
      tell("No answer: these figures are not the latest.");
    }
    asking = false;
    timer = setTimeout(ask, every);
  };
  const show = () => {
    $("pause").textContent = paused ? "Resume" : "Pause";
    $("pause").setAttribute("aria-pressed", String(paused));
  };
  $("pause").addEventListener("click", () => {
    paused = !paused;
    show();
    ask();
  });
  document.addEventListener("visibilitychange", ask);
  show();
  filter();
  ask();
})();
