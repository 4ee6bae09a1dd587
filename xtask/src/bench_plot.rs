//! Bars beside each other: the picture of docs/benchmarks.md.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, TextStyle, WHITE};

/// One picture of several: bars of one unit.
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// The unit of the values.
    pub unit: &'static str,
    /// The bars, those of one group after another.
    pub bars: Vec<Bar>,
}

impl Panel {
    /// Of bars that each have a group, a name and a value.
    pub fn new(
        title: &str,
        unit: &'static str,
        bars: impl Iterator<Item = (impl Into<String>, impl Into<String>, f64)>,
    ) -> Self {
        let bars = bars.map(|(group, name, value)| Bar { group: group.into(), name: name.into(), value });
        Self { title: title.to_owned(), unit, bars: bars.collect() }
    }
}

/// One bar.
pub struct Bar {
    /// Which it stands together with.
    pub group: String,
    /// What it is of.
    pub name: String,
    /// Its length.
    pub value: f64,
}

const WIDTH: i32 = 760;
const BAR: i32 = 18;
const GAP: i32 = 10;
const TITLE: i32 = 34;

/// Where bars begin, and how far the longest reaches: its value stands behind it.
const LEFT: i32 = 190;
const LONGEST: i32 = 470;

const INK: RGBColor = RGBColor(40, 40, 40);

/// Ours first; colours that are told apart without colour vision too.
const COLOURS: [RGBColor; 3] = [RGBColor(213, 94, 0), RGBColor(0, 114, 178), RGBColor(150, 150, 150)];

/// Draws the panels below each other into an SVG file.
pub fn plot(path: &Path, panels: &[Panel]) -> Result<()> {
    let svg = draw(panels)?;
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

fn draw(panels: &[Panel]) -> Result<String> {
    let height: i32 = GAP + panels.iter().map(height).sum::<i32>();
    let mut svg = String::new();
    {
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = |error| anyhow!("cannot draw: {error:?}");
        area.fill(&WHITE).map_err(drawn)?;
        let ink = |size: i32, position| TextStyle::from(("sans-serif", size)).color(&INK).pos(position);
        let before = ink(13, Pos::new(HPos::Right, VPos::Center));
        let behind = ink(13, Pos::new(HPos::Left, VPos::Center));
        let mut y = GAP;
        for panel in panels {
            let title = format!("{}, {}", panel.title, panel.unit);
            let place = (GAP, y + TITLE / 2);
            area.draw(&Text::new(title, place, ink(16, Pos::new(HPos::Left, VPos::Center))))
                .map_err(drawn)?;
            y += TITLE;
            let most = panel.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
            let names: Vec<&str> = distinct(panel.bars.iter().map(|bar| bar.name.as_str()));
            let mut group = panel.bars.first().map(|bar| &bar.group);
            for bar in &panel.bars {
                if group != Some(&bar.group) {
                    y += GAP;
                    group = Some(&bar.group);
                }
                // Where there are more names than colours, none tells a name.
                let told = names.len() <= COLOURS.len();
                let colour = names.iter().position(|name| told && *name == bar.name).unwrap_or_default();
                let length = (bar.value / most * f64::from(LONGEST)).round().max(1.0) as i32;
                let (middle, end) = (y + BAR / 2, LEFT + length);
                let style = COLOURS[colour].filled();
                area.draw(&Rectangle::new([(LEFT, y + 2), (end, y + BAR - 2)], style)).map_err(drawn)?;
                let label = format!("{}, {}", bar.group, bar.name);
                area.draw(&Text::new(label, (LEFT - 6, middle), before.clone())).map_err(drawn)?;
                let value = format!("{:.*}", if bar.value < 10.0 { 2 } else { 0 }, bar.value);
                area.draw(&Text::new(value, (end + 6, middle), behind.clone())).map_err(drawn)?;
                y += BAR;
            }
            y += GAP;
        }
        area.present().map_err(drawn)?;
    }
    Ok(svg)
}

fn height(panel: &Panel) -> i32 {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX / 64);
    let groups = distinct(panel.bars.iter().map(|bar| bar.group.as_str())).len();
    TITLE + count(panel.bars.len()) * BAR + count(groups) * GAP
}

/// Each text once, in the order of their first.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    texts.fold(Vec::new(), |mut seen, text| {
        if !seen.contains(&text) {
            seen.push(text);
        }
        seen
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_drawn_with_its_value() {
        let bar =
            |group: &str, name: &str, value| Bar { group: group.to_owned(), name: name.to_owned(), value };
        let bars = vec![bar("deliver-sms", "Rust", 2.5), bar("deliver-sms", "Python", 240.0)];
        let svg = draw(&[Panel { title: "start".to_owned(), unit: "ms", bars }]).unwrap();
        for said in ["start, ms", "deliver-sms, Rust", "2.50", "240", "</svg>"] {
            assert!(svg.contains(said), "{said} is not in {svg}");
        }
    }
}
