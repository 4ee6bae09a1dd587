"""Looks at pages in Chromium as people with different screens and needs do.

Reads JSON from standard input: {"out": folder, "chromium": program, "lang", "pages": [{"name", "url", "steps"}]}. A step is ["click", selector],
["fill", selector, text] or ["tick", selector, true or false]; steps are done with scripts switched off, as everything must work so.
Each page is then looked at narrow, in light and in dark, and wide: one heading, in its language, no wider than the screen, large
enough to press, and nothing that axe-core finds wrong by WCAG 2.2 AA; in dark that is the contrast. The keyboard comes to everything,
and one sees where it is. Its pictures go to the folder.
Prints what is wrong, one line each; ends with 1 where something is.
"""

import json
import sys
from importlib import resources
from pathlib import Path

from playwright.sync_api import sync_playwright

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
SCREENS = [(390, 844, "light"), (390, 844, "dark"), (1280, 900, "light")]
# Large enough to press (WCAG 2.2 §2.5.5), in CSS pixels.
LEAST = 44


def do(page, steps):
    for kind, selector, *value in steps:
        what = page.locator(selector).first
        if kind == "click":
            what.click()
        elif kind == "fill":
            what.fill(value[0])
        elif kind == "tick":
            what.set_checked(value[0])
        else:
            raise ValueError(kind)
    return page


def looked_at(page, lang):
    """What is wrong with the page that is open, as it is shown now."""
    wrong = []
    headings = page.locator("h1").count()
    if headings != 1:
        wrong.append(f"{headings} headings")
    if page.locator("html").get_attribute("lang") != lang:
        wrong.append("another language than its reader's")
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        wrong.append("wider than the screen")
    if page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('main'))"):
        wrong.append("wider than its card")
    for target in page.locator("button, .button, summary, .choice, input[type=date], textarea").all():
        if target.is_visible() and target.bounding_box()["height"] < LEAST:
            wrong.append(f"too small to press: {target.inner_text()!r}")
    return wrong


def axe(page, rules, least):
    """What axe-core finds wrong; it must have found at least so much in order."""
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
    wrong = [
        f"{violation['id']}: {violation['help']}: {node['html']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    if len(found["passes"]) < least:
        wrong.append("axe-core has hardly looked at it")
    return wrong


def walked(page):
    """What is wrong for who has no more than a keyboard."""
    wrong = []
    targets = page.locator("a, button, summary, input:not([type=hidden]), textarea").all()
    for _ in [target for target in targets if target.is_visible()]:
        page.keyboard.press("Tab")
        focus = page.evaluate(
            "(() => { const e = document.activeElement; return [e.tagName, getComputedStyle(e).outlineStyle] })()"
        )
        if focus[0] != "BODY" and focus[1] == "none":
            wrong.append(f"no focus to be seen on {focus[0]}")
    return wrong


def main():
    asked = json.load(sys.stdin)
    out = Path(asked["out"])
    out.mkdir(parents=True, exist_ok=True)
    wrong = []
    with sync_playwright() as playwright:
        # As root Chromium has no sandbox of its own; it sees nothing but the stack on this machine.
        browser = playwright.chromium.launch(
            executable_path=asked["chromium"], args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        lang = asked["lang"]
        plain = browser.new_context(java_script_enabled=False, locale=lang, viewport=dict(width=390, height=844))
        context = browser.new_context(locale=lang)
        # One tab each, for all of it: now and then Chromium never answers that a tab was closed.
        first, page = plain.new_page(), context.new_page()
        heard = []
        page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
        for one in asked["pages"]:
            first.goto(one["url"])
            do(first, one["steps"])
            url = first.url
            # A form that was refused is shown in the answer to it, and at no address of its own.
            refused = one["steps"] if one.get("refused") else []
            heard.clear()
            page.goto(one["url"] if refused else url)
            do(page, refused + one.get("open", []))
            page.evaluate(AXE)
            for width, height, scheme in SCREENS:
                page.set_viewport_size(dict(width=width, height=height))
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=out / f"{one['name']}.{lang}.{width}.{scheme}.png", full_page=True)
                said = looked_at(page, lang)
                said += axe(page, CONTRAST, 1) if scheme == "dark" else axe(page, RULES, 10)
                wrong += [f"{one['name']} {lang} {width} {scheme}: {what}" for what in said]
            # Answers with 4xx are heard of; what the policy of the page keeps out would be too.
            said = walked(page) + [text for text in heard if "status of 4" not in text]
            wrong += [f"{one['name']} {lang}: {what}" for what in said]
        browser.close()
    for line in wrong:
        print(line)
    print(f"{len(asked['pages'])} pages looked at, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


main()
