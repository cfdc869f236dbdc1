'use strict';
(() => {
  const $ = id => document.getElementById(id);
  const index = $('index'), main = $('main'), find = $('find'), kind = $('class'), count = $('count'), theme = $('theme');
  const rows = Array.from(index.querySelectorAll('.row'));
  const texts = rows.map(r => r.textContent.toLowerCase());
  let shown = 0; // the call in main

  // The index.
  const visible = () => rows.filter(r => !r.hidden);
  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    rows.forEach((r, i) => {
      r.hidden = !(words.every(w => texts[i].includes(w)) && (!kind.value || r.dataset.class === kind.value));
      if (!r.hidden) n++;
    });
    count.textContent = n === rows.length ? rows.length + ' calls' : n + ' of ' + rows.length + ' calls';
  }
  find.addEventListener('input', filter);
  kind.addEventListener('change', filter);
  $('filters').addEventListener('submit', e => { e.preventDefault(); step(0); });

  function step(by) {
    const list = visible().filter(r => r.dataset.id);
    if (!list.length) return;
    const now = list.findIndex(r => Number(r.dataset.id) === shown);
    const next = by === 0 ? list[0] : list[Math.max(0, Math.min(list.length - 1, now + by))];
    location.hash = 'call-' + next.dataset.id;
  }

  // One call.
  function show(id) {
    const template = $('t' + id);
    if (!template) return;
    shown = id;
    main.replaceChildren(template.content.cloneNode(true));
    main.scrollTop = 0;
    for (const r of rows) {
      const chosen = Number(r.dataset.id) === id;
      r.setAttribute('aria-selected', chosen);
      if (chosen) r.scrollIntoView({block: 'nearest'});
    }
    sound();
    ladder();
  }

  function sound() {
    const audio = main.querySelector('audio'), plot = main.querySelector('.plot');
    if (!plot) return;
    const seconds = Number(main.querySelector('article').dataset.seconds), cursor = plot.querySelector('.cursor');
    let moving = 0;
    const place = () => {
      cursor.hidden = false;
      cursor.style.left = Math.min(100, audio.currentTime / seconds * 100) + '%';
    };
    const follow = () => {
      place();
      if (!audio.paused && audio.isConnected) moving = requestAnimationFrame(follow);
    };
    const go = t => {
      if (!audio) return;
      audio.currentTime = Math.max(0, Math.min(t, seconds));
      place();
    };
    if (audio) {
      audio.addEventListener('play', () => { cancelAnimationFrame(moving); follow(); });
      audio.addEventListener('seeked', place);
    }
    for (const side of plot.querySelectorAll('.side')) {
      side.addEventListener('click', e => {
        const box = side.getBoundingClientRect();
        go((e.clientX - box.left) / box.width * seconds);
      });
    }
    for (const mark of plot.querySelectorAll('.mark')) mark.addEventListener('click', () => go(Number(mark.dataset.at)));
  }

  function ladder() {
    const open = g => {
      const d = main.querySelector('details[data-message="' + g.dataset.message + '"]');
      if (!d) return;
      d.open = true;
      d.scrollIntoView({block: 'nearest'});
      d.querySelector('summary').focus({preventScroll: true});
    };
    for (const g of main.querySelectorAll('.rung[data-message]')) {
      g.addEventListener('click', () => open(g));
      g.addEventListener('keydown', e => {
        if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); open(g); }
      });
    }
  }

  // Keys, unless something that takes them itself has the focus.
  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
    if (typing) {
      if (e.key === 'Escape') { find.value = ''; filter(); index.focus(); }
      return;
    }
    const inIndex = index.contains(e.target) || e.target === document.body;
    if (e.key === '/') { e.preventDefault(); find.focus(); find.select(); }
    else if (e.key === 'j' || e.key === 'ArrowDown' && inIndex) { e.preventDefault(); step(1); }
    else if (e.key === 'k' || e.key === 'ArrowUp' && inIndex) { e.preventDefault(); step(-1); }
    else if (e.key === ' ' && inIndex) {
      const audio = main.querySelector('audio');
      if (audio) { e.preventDefault(); audio.paused ? audio.play() : audio.pause(); }
    }
  });

  // Light and dark.
  const themes = ['auto', 'light', 'dark'];
  let chosen = 0;
  theme.addEventListener('click', () => {
    chosen = (chosen + 1) % themes.length;
    if (chosen) document.documentElement.dataset.theme = themes[chosen];
    else delete document.documentElement.dataset.theme;
    theme.textContent = 'Theme: ' + themes[chosen];
  });

  const fromHash = () => { const m = /^#call-(\d+)$/.exec(location.hash); if (m) show(Number(m[1])); return m; };
  window.addEventListener('hashchange', fromHash);
  filter();
  if (!fromHash()) {
    const first = rows.find(r => r.dataset.id);
    if (first) show(Number(first.dataset.id));
  }
})();
