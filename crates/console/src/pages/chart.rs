//! Charts as SVG: bars, drawn on the server, with a table's worth of text for those who do not see them.

use std::fmt::Write;

/// A bar: label, value, text for the reader.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: i64,
    pub(crate) text: String,
}

/// Bars side by side, the highest as high as the picture.
pub(crate) fn bars(bars: &[Bar], label: &str) -> String {
    const WIDTH: f64 = 480.0;
    const HEIGHT: f64 = 120.0;
    const FOOT: f64 = 16.0;
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / bars.len().max(1) as f64;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
        HEIGHT + FOOT,
        escaped(label)
    );
    let every = bars.len().div_ceil(8).max(1);
    for (at, bar) in bars.iter().enumerate() {
        let height = bar.value as f64 / most * (HEIGHT - 4.0);
        let x = at as f64 * step;
        let _ = write!(
            svg,
            "<g><title>{}</title><rect class=\"bar-a\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"1.5\"/></g>",
            escaped(&bar.text),
            step.mul_add(0.12, x),
            HEIGHT - height,
            step * 0.76,
            height
        );
        if at.is_multiple_of(every) {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                step.mul_add(0.5, x),
                HEIGHT + FOOT - 4.0,
                escaped(&bar.label)
            );
        }
    }
    let _ =
        write!(svg, "<line class=\"axis\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/></svg>");
    svg
}

/// One bar of several parts: colour, value, text.
pub(crate) fn parts(parts: &[(&str, i64, String)], label: &str) -> String {
    let all: i64 = parts.iter().map(|(_, value, _)| value).sum();
    let mut svg = format!(
        "<svg class=\"chart parts\" viewBox=\"0 0 1000 22\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\"><rect class=\"fill-none\" width=\"1000\" height=\"22\"/>",
        escaped(label)
    );
    let mut x = 0.0;
    for (colour, value, text) in parts.iter().filter(|(_, value, _)| *value > 0) {
        let width = *value as f64 / all.max(1) as f64 * 1000.0;
        let _ = write!(
            svg,
            "<g><title>{}</title><rect class=\"fill-{colour}\" x=\"{x:.2}\" width=\"{width:.2}\" height=\"22\"/></g>",
            escaped(text)
        );
        x += width;
    }
    svg.push_str("</svg>");
    svg
}

fn escaped(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html).map(|text| text.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_label_becomes_markup() {
        let bar = Bar { label: "<1>".into(), value: 3, text: "\"x\" & <y>".into() };
        let svg = bars(&[bar], "a<b");
        assert!(!svg.contains("<1>") && !svg.contains("<y>"), "{svg}");
        assert!(parts(&[("green", 0, String::new())], "").ends_with("</svg>"), "nothing at all is a bar too");
    }
}
