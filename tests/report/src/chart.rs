//! Charts: an SVG that stretches to whatever width there is, with its labels beside it as text, so
//! that they keep their size on a phone and in print.

use std::fmt::Write as _;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::time::marks;

/// The SVG's own units, across and down.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// Fewer points than these get a dot each.
const FEW: usize = 60;

/// Labels further right would hang out of the page.
const LAST_LABEL: f64 = 0.96;

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// From the first to the second by orders of magnitude; what lies outside is drawn at the edge.
    Log(f64, f64),
}

impl Scale {
    /// From 0 to a round number at or above every value, and at least `least`.
    pub fn up_to(values: impl Iterator<Item = f64>, least: f64) -> Self {
        let most = values.fold(least, f64::max);
        let magnitude = 10f64.powf(most.log10().floor());
        let rounds = [1.0, 2.0, 2.5, 4.0, 5.0, 10.0].map(|round| round * magnitude);
        Self::Linear(rounds.into_iter().find(|round| *round >= most * 0.999_999).unwrap_or(most))
    }

    /// The lowest and the highest value.
    pub fn ends(self) -> (f64, f64) {
        match self {
            Self::Linear(top) => (0.0, top),
            Self::Log(bottom, top) => (bottom, top),
        }
    }

    /// 0 at the bottom, 1 at the top.
    fn share(self, value: f64) -> f64 {
        match self {
            Self::Linear(top) => value / top,
            Self::Log(bottom, top) => (value.max(bottom) / bottom).ln() / (top / bottom).ln(),
        }
        .clamp(0.0, 1.0)
    }

    fn marks(self) -> Vec<f64> {
        match self {
            Self::Linear(top) => vec![0.0, top / 2.0, top],
            Self::Log(bottom, top) => std::iter::successors(Some(bottom), |mark| Some(mark * 10.0))
                .take_while(|m| *m <= top * 1.01)
                .collect(),
        }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Straight from point to point.
    Line,
    /// Level until the next point.
    Steps,
    /// The area below such steps.
    Below,
    /// The area above them.
    Above,
}

impl Shape {
    fn is_area(self) -> bool {
        matches!(self, Self::Below | Self::Above)
    }
}

/// Values over time; nothing where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// The class that gives it its colour.
    pub class: &'static str,
    /// How it is drawn.
    pub shape: Shape,
    /// Its values.
    pub points: Vec<(Timestamp, Option<f64>)>,
}

/// What is marked in every chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Spans in which a fleet was made to fail.
    pub faults: Vec<(Timestamp, Timestamp)>,
    /// When weights were put back.
    pub rollbacks: Vec<Timestamp>,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// A word for it, unique on the page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Its values in words.
    pub description: String,
    /// What its values are written with.
    pub unit: &'static str,
    /// How values become heights.
    pub scale: Scale,
    /// A value that means something, and what.
    pub threshold: Option<(f64, String)>,
    /// What is drawn, back to front.
    pub series: Vec<Series>,
}

/// The time that all charts of a page show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// At the left.
    pub from: Timestamp,
    /// At the right.
    pub until: Timestamp,
}

impl Span {
    /// 0 at the left, 1 at the right.
    pub fn share(self, at: Timestamp) -> f64 {
        let of = |at: Timestamp| at.duration_since(self.from).as_secs_f64();
        (of(at) / of(self.until)).clamp(0.0, 1.0)
    }

    /// The same for a style.
    pub fn left(self, at: Timestamp) -> String {
        format!("left:{:.2}%", 100.0 * self.share(at))
    }
}

impl Chart {
    /// Draws it.
    pub fn render(&self, span: Span, marks: &Marks) -> Markup {
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let (bottom, top) = self.scale.ends();
        html! {
            figure id=(self.id) {
                figcaption {
                    (self.title)
                    @if self.series.len() > 1 { " " (self.legend()) }
                }
                div.plot {
                    svg role="img" aria-labelledby=(title) aria-describedby=(desc) preserveAspectRatio="none"
                        viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } data-bottom=(bottom) data-top=(top)
                        data-log=(matches!(self.scale, Scale::Log(..))) {
                        title id=(title) { (self.title) }
                        desc id=(desc) { (self.description) }
                        @for series in self.drawn(Shape::is_area) { (self.path(span, series)) }
                        (self.background(span, marks))
                        @for series in self.drawn(|shape| !shape.is_area()) { (self.path(span, series)) }
                        @for at in &marks.rollbacks {
                            path.rollback d={ "M" (across(span, *at)) " 0V" (HEIGHT) } {}
                        }
                    }
                    (self.labels(span))
                }
            }
        }
    }

    fn drawn(&self, so: impl Fn(Shape) -> bool) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| so(series.shape))
    }

    fn legend(&self) -> Markup {
        html! {
            span.legend {
                @for series in &self.series {
                    span.key.(series.class) aria-hidden="true" {} (series.name) " "
                }
            }
        }
    }

    fn background(&self, span: Span, marks: &Marks) -> Markup {
        let threshold = self.threshold.as_ref().map(|(value, _)| self.down(*value));
        html! {
            @for (from, until) in &marks.faults {
                @let left = across(span, *from);
                rect.fault x=(left) y="0" width=(round(across(span, *until) - left)) height=(HEIGHT) {}
            }
            @for mark in self.scale.marks() {
                path.grid d={ "M0 " (self.down(mark)) "H" (WIDTH) } {}
            }
            @if let Some(down) = threshold {
                path.threshold d={ "M0 " (down) "H" (WIDTH) } {}
            }
        }
    }

    fn labels(&self, span: Span) -> Markup {
        html! {
            div.labels aria-hidden="true" {
                @for mark in self.scale.marks() {
                    span.y style={ "bottom:" (round(100.0 * self.scale.share(mark))) "%" } {
                        (written(mark)) (self.unit)
                    }
                }
                @if let Some((value, label)) = &self.threshold {
                    span.threshold style={ "bottom:" (round(100.0 * self.scale.share(*value))) "%" } { (label) }
                }
                @for (at, label) in marks(span.from, span.until).iter().filter(|(at, _)| span.share(*at) < LAST_LABEL) {
                    span.x style=(span.left(*at)) { (label) }
                }
            }
        }
    }

    fn path(&self, span: Span, series: &Series) -> Markup {
        let line = self.line(span, series);
        html! {
            @if series.shape.is_area() {
                path.area.(series.class) data-series=(series.name) d=(line) {}
            } @else {
                path.line.(series.class) data-series=(series.name) d=(line) {}
                // A value between two gaps would be a line without length.
                @if series.shape == Shape::Line && series.points.len() < FEW { path.dots.(series.class) d=(self.dots(span, series)) {} }
            }
        }
    }

    /// A line without length for every known value.
    fn dots(&self, span: Span, series: &Series) -> String {
        let mut path = String::new();
        for (at, value) in series.points.iter().filter_map(|(at, value)| Some((at, (*value)?))) {
            let _ = write!(path, "M{} {}h0", across(span, *at), self.down(value));
        }
        path
    }

    /// The series as the commands of a path: every known value is one `L` or the `M` before it, and
    /// steps have one more `L` for their edge.
    fn line(&self, span: Span, series: &Series) -> String {
        let mut path = String::new();
        let mut earlier: Option<f64> = None;
        for (at, value) in &series.points {
            let x = across(span, *at);
            let Some(y) = value.map(|value| self.down(value)) else {
                earlier = None;
                continue;
            };
            let edge = earlier.filter(|_| series.shape != Shape::Line).map(|y| format!("L{x} {y}"));
            let command = if earlier.is_some() { 'L' } else { 'M' };
            let _ = write!(path, "{}{command}{x} {y}", edge.unwrap_or_default());
            earlier = Some(y);
        }
        let floor = match series.shape {
            Shape::Below => HEIGHT,
            Shape::Above => 0.0,
            Shape::Line | Shape::Steps => return path,
        };
        if let (Some((first, _)), Some((last, _))) = (series.points.first(), series.points.last()) {
            let _ = write!(path, "V{floor}H{}Z", across(span, *first));
            debug_assert!(first <= last);
        }
        path
    }

    fn down(&self, value: f64) -> f64 {
        round(HEIGHT * (1.0 - self.scale.share(value)))
    }
}

fn across(span: Span, at: Timestamp) -> f64 {
    round(WIDTH * span.share(at))
}

/// A hundredth of a unit is less than a pixel on any screen.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `2,000`, `0.005` or `1`.
fn written(value: f64) -> String {
    if value >= 1000.0 {
        return failover::verdict::words::number(value);
    }
    ((value * 10_000.0).round() / 10_000.0).to_string()
}
