//! Line and point plots as SVG, enough for a curve of training and a table of measurements. Examples and tools draw by this file
//! too.

use std::fmt::Write;

const COLOURS: [&str; 4] = ["#1f5fbf", "#c0392b", "#2e8b57", "#8e44ad"];

/// Room around a plot in pixels: left, top, right, below.
const MARGINS: [f64; 4] = [64.0, 36.0, 16.0, 44.0];

/// One plot of a picture.
#[derive(Default)]
pub struct Plot {
    /// What stands above it.
    pub title: String,
    /// What the horizontal axis counts.
    pub x: &'static str,
    /// What the vertical axis counts.
    pub y: &'static str,
    /// Whether both axes count in powers.
    pub logarithmic: bool,
    /// The points, a colour for each series.
    pub series: Vec<PlotSeries>,
}

/// Points of one colour.
pub struct PlotSeries {
    /// What the legend says; nothing has no line in it.
    pub label: String,
    /// By x and y.
    pub points: Vec<(f64, f64)>,
    /// How they are drawn.
    pub style: Style,
}

/// How points are drawn.
#[derive(Clone, Copy, PartialEq)]
pub enum Style {
    /// A line from point to point.
    Line,
    /// Dots.
    Dots,
    /// A line with a dot at each point.
    LineAndDots,
}

/// One direction of a plot: the range of numbers, and the pixels of its ends.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
    /// Whether only whole numbers are shown, as of epochs: there is nothing between two ticks then.
    whole: bool,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, (from, to): (f64, f64), logarithmic: bool) -> Self {
        let (mut low, mut high, mut whole) = (f64::INFINITY, f64::NEG_INFINITY, true);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
            whole &= value.fract() == 0.0;
        }
        let (low, high) = match (low <= high, logarithmic) {
            (true, _) => (low, high),
            (false, true) => (1.0, 10.0),
            (false, false) => (0.0, 1.0),
        };
        let (low, high) = if logarithmic {
            (low * 0.8, high * 1.25)
        } else {
            let room = ((high - low) * 0.05).max(1e-9 + low.abs() * 1e-3);
            (low - room, high + room)
        };
        Axis {
            low,
            high,
            from,
            to,
            logarithmic,
            whole,
        }
    }

    fn pixel(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low));
        self.from + share * (self.to - self.from)
    }

    /// Round numbers within the range: 1, 2 or 5 times a power of ten apart, whole where all that is shown is; powers of ten where
    /// the axis counts in them.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let factors: &[f64] = if self.high > self.low * 300.0 {
                &[1.0]
            } else {
                &[1.0, 2.0, 5.0]
            };
            let ticks = powers
                .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            return ticks
                .filter(|tick| (self.low..=self.high).contains(tick))
                .collect();
        }
        let rough = (self.high - self.low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let step = if self.whole { step.max(1.0) } else { step };
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

/// The plots of a row.
const MAX_ACROSS: usize = 3;

/// A picture of plots side by side, each of that many pixels, in rows of three.
pub fn svg((width, height): (f64, f64), plots: &[Plot]) -> String {
    let (across, down) = (
        plots.len().clamp(1, MAX_ACROSS),
        plots.len().div_ceil(MAX_ACROSS),
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        width * across as f64,
        height * down as f64
    );
    for (index, plot) in plots.iter().enumerate() {
        let (column, row) = (index % MAX_ACROSS, index / MAX_ACROSS);
        let (left, top) = (column as f64 * width, row as f64 * height);
        // Writing to a String cannot fail.
        writeln!(svg, "<g transform=\"translate({left} {top})\">").unwrap_or_default();
        draw(&mut svg, plot, (width, height));
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, plot: &Plot, (width, height): (f64, f64)) {
    let [before, above, after, below] = MARGINS;
    let points = || plot.series.iter().flat_map(|series| placed(plot, series));
    let x = Axis::new(
        points().map(|point| point.0),
        (before, width - after),
        plot.logarithmic,
    );
    let y = Axis::new(
        points().map(|point| point.1),
        (height - below, above),
        plot.logarithmic,
    );
    let mut add = |element: String| {
        svg.push_str(&element);
        svg.push('\n');
    };
    let text = |x: f64, y: f64, anchor: &str, text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
    };
    let line = |from: (f64, f64), to: (f64, f64), colour: &str| {
        let ((x1, y1), (x2, y2)) = (from, to);
        format!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{colour}\" fill=\"none\"/>")
    };
    add(text(
        (x.from + x.to) / 2.0,
        above - 14.0,
        "middle",
        &plot.title,
    ));
    add(text((x.from + x.to) / 2.0, height - 8.0, "middle", plot.x));
    add(text(8.0, above - 14.0, "start", plot.y));
    for tick in x.ticks() {
        let at = x.pixel(tick);
        add(line((at, y.from), (at, y.to), "#e4e4e4"));
        add(text(at, y.from + 16.0, "middle", &label(tick)));
    }
    for tick in y.ticks() {
        let at = y.pixel(tick);
        add(line((x.from, at), (x.to, at), "#e4e4e4"));
        add(text(x.from - 6.0, at + 4.0, "end", &label(tick)));
    }
    add(line((x.from, y.from), (x.to, y.from), "black"));
    add(line((x.from, y.from), (x.from, y.to), "black"));
    for (series, colour) in plot.series.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        for (at, point) in placed(plot, series).enumerate() {
            let (px, py) = (x.pixel(point.0), y.pixel(point.1));
            let letter = if at == 0 { 'M' } else { 'L' };
            write!(path, "{letter}{px:.1} {py:.1}").unwrap_or_default();
            if series.style != Style::Line || series.points.len() == 1 {
                add(format!(
                    "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\" fill-opacity=\"0.7\"/>"
                ));
            }
        }
        if series.style != Style::Dots {
            add(format!(
                "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>"
            ));
        }
    }
    let named = plot.series.iter().zip(COLOURS.iter().cycle());
    let named: Vec<_> = named
        .filter(|(series, _)| !series.label.is_empty())
        .collect();
    let letters = named.iter().map(|(series, _)| series.label.chars().count());
    let size = (
        40.0 + 7.0 * letters.max().unwrap_or(0) as f64,
        16.0 * named.len() as f64 + 8.0,
    );
    // In the corner with the fewest points.
    let corners = [x.from + 8.0, x.to - size.0]
        .map(|corner_x| [y.to + 4.0, y.from - size.1 - 4.0].map(|corner_y| (corner_x, corner_y)));
    let hidden = |corner: &&(f64, f64)| {
        let inside = |point: &&(f64, f64)| {
            let (px, py) = (x.pixel(point.0) - corner.0, y.pixel(point.1) - corner.1);
            (0.0..size.0).contains(&px) && (0.0..size.1).contains(&py)
        };
        points().filter(inside).count()
    };
    let (legend_x, legend_y) = *corners
        .as_flattened()
        .iter()
        .min_by_key(hidden)
        .unwrap_or(&(0.0, 0.0));
    for (row, (series, colour)) in named.into_iter().enumerate() {
        let at = legend_y + 14.0 + 16.0 * row as f64;
        add(line((legend_x, at), (legend_x + 20.0, at), colour));
        add(text(legend_x + 26.0, at + 4.0, "start", &series.label));
    }
}

/// The points of a series that have a place in its plot: finite ones, above 0 where the axes count in powers.
fn placed<'a>(plot: &Plot, series: &'a PlotSeries) -> impl Iterator<Item = &'a (f64, f64)> {
    let logarithmic = plot.logarithmic;
    let has_place = move |number: f64| number.is_finite() && (number > 0.0 || !logarithmic);
    let points = series.points.iter();
    points.filter(move |(x, y)| has_place(*x) && has_place(*y))
}

/// A number without more digits than a tick has.
fn label(value: f64) -> String {
    let rounded = format!("{value:.6}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    match short {
        "0" | "-0" if value.abs() < 1e-12 => "0".into(),
        "0" | "-0" => format!("{value:.1e}"),
        short if short.len() > 9 => format!("{value:.2e}"),
        short => short.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_plot_shows_what_is_above_0_and_ends_without_any() {
        let drawn = |points: Vec<(f64, f64)>| {
            let series = PlotSeries {
                label: String::new(),
                points,
                style: Style::Dots,
            };
            let plot = Plot {
                logarithmic: true,
                series: vec![series],
                ..Plot::default()
            };
            svg((300.0, 200.0), &[plot])
        };
        let dots = |svg: &str| svg.matches("<circle").count();
        for points in [vec![], vec![(0.0, 1.0), (1.0, 0.0)], vec![(-1.0, f64::NAN)]] {
            let svg = drawn(points);
            assert_eq!(dots(&svg), 0);
            assert!(svg.contains(">10</text>"), "{svg}");
        }
        let svg = drawn(vec![(0.0, 1.0), (1.0, 0.01), (100.0, 3.0), (2.0, -1.0)]);
        assert_eq!(dots(&svg), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
