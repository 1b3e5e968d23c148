// Draws the diagrams of the page, measures them, and leaves the result in the page as JSON.
"use strict";

const box = (element) => {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  return { left, top, right, bottom };
};

/** The box of the letters themselves, wherever the elements around them end. */
const textBox = (element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return box(range);
};

const channels = (colour) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
};

const over = (upper, lower) => upper.slice(0, 3).map((each, i) => each * upper[3] + lower[i] * (1 - upper[3]));

/** Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

const contrast = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};

const page = () => channels(getComputedStyle(document.body).backgroundColor);

/** A text of a diagram and the shape that it stands on. */
const label = (text, shape, scale) => {
  const style = getComputedStyle(text);
  const ink = text.namespaceURI === "http://www.w3.org/2000/svg" ? style.fill : style.color;
  const ground = over(channels(shape ? getComputedStyle(shape).fill : "transparent"), page());
  return {
    text: text.textContent.trim(),
    box: textBox(text),
    shape: shape ? box(shape) : null,
    size: parseFloat(style.fontSize) * scale,
    contrast: contrast(over(channels(ink), ground), ground),
  };
};

const labels = (svg, group, shape, scale) =>
  [...svg.querySelectorAll(group)].map((each) => {
    const text = each.querySelector(".nodeLabel, .cluster-label span, text");
    return label(text, each.querySelector(shape), scale);
  });

const measured = (svg) => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const edges = [...svg.querySelectorAll("g.edgeLabel")].filter((each) => each.textContent.trim());
  return {
    box: box(svg),
    nodes: labels(svg, "g.node", ".label-container, rect, polygon, path", scale),
    titles: labels(svg, "g.cluster", "rect", scale),
    edges: edges.map((each) => label(each.querySelector("p, span, text") ?? each, null, scale)),
    arrows: svg.querySelectorAll("g.edgePaths path").length,
  };
};

const draw = async (settings) => {
  mermaid.initialize(settings);
  const result = { diagrams: [], errors: [], overflow: 0 };
  for (const [number, code] of [...document.querySelectorAll("code.language-mermaid")].entries()) {
    const place = document.createElement("div");
    code.parentElement.replaceWith(place);
    try {
      place.innerHTML = (await mermaid.render(`diagram${number}`, code.textContent)).svg;
      result.diagrams.push(measured(place.firstElementChild));
    } catch (error) {
      result.errors.push(String(error));
    }
  }
  result.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  result.height = document.documentElement.scrollHeight;
  document.getElementById("measured").textContent = JSON.stringify(result);
};
