// What a page is asked in tests of who can use it: an object of functions.
({
  // what a person uses that has no name
  unnamed: () => {
    const words = (id) => document.getElementById(id)?.textContent ?? '';
    const name = (e) => [e.getAttribute('aria-label'), e.alt, e.querySelector?.(':scope > caption, :scope > summary')?.textContent,
      ...(e.getAttribute('aria-labelledby') ?? '').split(' ').map(words), ...[...(e.labels ?? [])].map((l) => l.textContent),
      ['BUTTON', 'A', 'SUMMARY', 'OPTION', 'TH'].includes(e.tagName) ? e.textContent : ''].join('').trim();
    const kinds = 'input:not([type=file]), select, textarea, button, a, summary, table, img, audio, section, [role=group]';
    return [...document.querySelectorAll(kinds)].filter((e) => e.checkVisibility() && !name(e)).map((e) => e.outerHTML);
  },

  // ids that stand twice, and ids that are named and stand nowhere
  double: () => {
    const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
    const named = [...document.querySelectorAll('[aria-describedby], [aria-labelledby], label[for], [list]')].flatMap((e) =>
      ['aria-describedby', 'aria-labelledby', 'for', 'list'].flatMap((a) => (e.getAttribute(a) ?? '').split(' ').filter(Boolean)));
    return [...ids.filter((id, i) => ids.indexOf(id) !== i), ...named.filter((id) => !ids.includes(id))];
  },

  // how many texts there are, and those of less contrast than 4.5 with what is behind them
  faint: () => {
    const parse = (c) => { const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (e) => {
      const layers = [];
      for (let at = e; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
      return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255, 1]);
    };
    const faint = [];
    const check = (e, colour, text) => {
      const [a, b] = [light(over(parse(colour), behind(e))), light(behind(e))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) faint.push([text.slice(0, 40), ratio.toFixed(2)]);
    };
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let n = 0;
    while (walk.nextNode()) {
      const e = walk.currentNode.parentElement;
      if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('.unseen, option, noscript')) continue;
      n += 1;
      check(e, getComputedStyle(e).color, walk.currentNode.data.trim());
    }
    for (const e of document.querySelectorAll('input:not([type=range]), textarea, select')) {
      if (!e.checkVisibility()) continue;
      check(e, getComputedStyle(e).color, 'value of ' + e.id);
      if (e.placeholder) check(e, getComputedStyle(e, '::placeholder').color, e.placeholder);
    }
    return [n, faint];
  },

  // what has the focus: its text, whether a ring is seen, whether it is
  focus: () => {
    const e = document.activeElement, s = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    return [(e.labels?.[0] ?? e).textContent.trim(), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
            box.width > 0 && box.height > 0];
  },
})
