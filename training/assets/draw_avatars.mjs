// Draws avatars and mascots as SVG, one JSON line each: {set, i, opt, svg}.
// usage: node draw_avatars.mjs OUT PLAN, where PLAN is JSON: {dicebear: {style: {count, options}},
// bigheads: count}. The drawings depend only on the plan and the package versions.
import fs from 'fs';
import { createRequire } from 'module';
import { createAvatar } from '@dicebear/core';
import * as dicebear from '@dicebear/collection';
import React from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import * as kawaii from 'react-kawaii';

const { BigHead } = createRequire(import.meta.url)('@bigheads/core');
const [out, plan] = [fs.createWriteStream(process.argv[2]), JSON.parse(process.argv[3])];
const write = (set, i, opt, svg) => out.write(JSON.stringify({ set, i, opt, svg }) + '\n');

let state = 12345;
const random = () => {
  state = (state * 1103515245 + 12345) & 0x7fffffff;
  return state / 0x7fffffff;
};
const pick = (choices) => choices[Math.floor(random() * choices.length)];

for (const [style, { count, options }] of Object.entries(plan.dicebear)) {
  for (let i = 0; i < count; i++) {
    const avatar = createAvatar(dicebear[style], { seed: 's' + i, ...options }).toJson();
    write('dicebear-' + style, i, avatar.extra, avatar.svg);
  }
}

const HEADS = {
  accessory: ['none', 'none', 'roundGlasses', 'tinyGlasses', 'shades'],
  body: ['chest', 'breasts'],
  clothing: ['shirt', 'dressShirt', 'vneck', 'tankTop', 'dress'],
  clothingColor: ['white', 'blue', 'black', 'green', 'red'],
  eyebrows: ['raised', 'leftLowered', 'serious', 'angry', 'concerned'],
  eyes: ['normal', 'happy', 'content', 'squint', 'simple', 'wink', 'heart'],
  facialHair: ['none', 'none', 'none', 'stubble', 'mediumBeard'],
  graphic: ['none', 'none'],
  hair: ['none', 'long', 'bun', 'short', 'pixie', 'balding', 'buzz', 'afro', 'bob'],
  hairColor: ['blonde', 'orange', 'black', 'white', 'brown', 'blue', 'pink'],
  hat: ['none', 'none', 'none', 'beanie', 'turban'],
  hatColor: ['white', 'blue', 'black', 'green', 'red'],
  lipColor: ['red', 'purple', 'pink', 'turqoise', 'green'],
  mouth: ['grin', 'sad', 'openSmile', 'lips', 'open', 'serious', 'tongue'],
  skinTone: ['light', 'yellow', 'brown', 'dark', 'red', 'black'],
};
for (let i = 0; i < plan.bigheads; i++) {
  const opt = Object.fromEntries(Object.entries(HEADS).map(([key, choices]) => [key, pick(choices)]));
  opt.lashes = opt.body === 'breasts';
  if (opt.lashes) opt.facialHair = 'none';
  const head = React.createElement(BigHead, { ...opt, mask: false, faceMask: false });
  write('bigheads', i, opt, renderToStaticMarkup(head));
}

const COLOURS = {
  red: '#e74c3c', orange: '#f39c12', yellow: '#ffd54f', green: '#66bb6a', teal: '#26a69a',
  'light blue': '#81d4fa', blue: '#42a5f5', purple: '#ab47bc', pink: '#f48fb1', white: '#fafafa',
  gray: '#bdbdbd', brown: '#a1887f',
};
const NOT_MASCOTS = ['DEFAULT_PROPS', 'MOODS', 'PROPS_DATA', 'default'];
let id = 0;
for (const what of Object.keys(kawaii).filter((key) => !NOT_MASCOTS.includes(key))) {
  for (const mood of kawaii.MOODS) {
    for (const [color, code] of Object.entries(COLOURS)) {
      // One in four, shifted from row to row, so that every mascot gets every mood and colour.
      const kept = ((id++) * 7 + Math.floor(id / 12)) % 4 === 0;
      if (!kept) continue;
      const props = { mood, color: code, size: 240, uniqueId: 'u' + id };
      const svg = renderToStaticMarkup(React.createElement(kawaii[what], props));
      write('kawaii', id, { what, mood, color }, svg);
    }
  }
}
out.end();
