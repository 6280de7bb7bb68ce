// WhatsApp's own formatting: *bold* _italic_ ~struck~ `code`, and links. Everything else stays as it is.

import { h } from "./dom.js";

const MARKS = { "*": "b", _: "i", "~": "s", "`": "code" };
const PATTERN = /(https?:\/\/[^\s<>"]*[^\s<>".,;:!?»)\]}])|(?<![\p{L}\p{N}])([*_~`])(?=\S)(.+?)(?<=\S)\2(?![\p{L}\p{N}])/gu;

export function formatted(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(PATTERN)) {
    parts.push(text.slice(end, found.index));
    const [whole, link, mark, inner] = found;
    if (link) parts.push(h("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, link));
    else parts.push(h(MARKS[mark], {}, ...(mark === "`" ? [inner] : formatted(inner))));
    end = found.index + whole.length;
  }
  parts.push(text.slice(end));
  return parts.filter((part) => part !== "");
}
