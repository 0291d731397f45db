#!/usr/bin/env python3
"""Takes plots out of a report of the load harness, as pictures of their own for the docs.

    scripts/plots.py .build/loadtest/suite.html docs/images/ten-times 0 2

writes docs/images/ten-times-0.svg and -2.svg, by the plots' places in the page; without places it lists them.
"""
import re
import sys


def main():
    page = open(sys.argv[1], encoding="utf-8").read()
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    # What is about the page and not about the plots is left behind.
    kept = [line for line in style.splitlines() if re.match(r":root|@media \(|\.grid|\.curve|\.s0", line)]
    kept.append("text { fill: var(--quiet); font: 12px system-ui, sans-serif; } .paper { fill: var(--paper); }")
    figures = re.findall(r"<figure><figcaption>(.*?)</figcaption>.*?(<svg.*?</svg>)(.*?)</figure>", page, re.S)
    if len(sys.argv) < 4:
        for place, (caption, _, _) in enumerate(figures):
            print(place, caption)
        return
    for place in map(int, sys.argv[3:]):
        _, plot, _ = figures[place]
        box = re.search(r'viewBox="0 0 (\S+) (\S+)"', plot)
        head = re.match(r"<svg[^>]*>", plot)[0]
        picture = head[:-1] + ' xmlns="http://www.w3.org/2000/svg">\n<style>' + "\n".join(kept) + "</style>\n"
        picture += f'<rect class="paper" width="{box[1]}" height="{box[2]}"/>' + plot[len(head):] + "\n"
        with open(f"{sys.argv[2]}-{place}.svg", "w", encoding="utf-8") as file:
            file.write(picture)


if __name__ == "__main__":
    main()
