//! Figures: what was measured in each round, and what it comes to over all of them.

use serde::Serialize;

/// How a figure is compared with its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Compared {
    /// Ours divided by the base of the same round.
    Ratio,
    /// Ours less the base of the same round.
    Difference,
    /// Ours by itself.
    Alone,
}

/// What a row tells: one value for each round.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// The row and what of it.
    pub name: String,
    /// Of the values.
    pub unit: &'static str,
    /// What the base is: the relay, unless it says otherwise.
    pub base_name: &'static str,
    /// The base, by round; empty when compared with nothing.
    pub base: Vec<f64>,
    /// Ours, by round.
    pub ours: Vec<f64>,
    /// How they are compared.
    pub compared: Compared,
    /// What the median of the comparison may be at most.
    pub goal: Option<f64>,
}

/// The middle and the ends of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

impl Spread {
    /// Of no values it is nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
        Some(Self { median, least, most })
    }
}

impl Figure {
    /// The comparison, round by round.
    pub fn comparison(&self) -> Option<Spread> {
        let pairs = self.ours.iter().zip(&self.base);
        match self.compared {
            Compared::Ratio => Spread::of(&pairs.map(|(ours, base)| ours / base).collect::<Vec<_>>()),
            Compared::Difference => Spread::of(&pairs.map(|(ours, base)| ours - base).collect::<Vec<_>>()),
            Compared::Alone => Spread::of(&self.ours),
        }
    }

    /// Whether the goal is reached; nothing without a goal.
    pub fn reached(&self) -> Option<bool> {
        Some(self.comparison()?.median <= self.goal?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_the_rounds_each_compared_with_its_own_base() {
        let mut figure = Figure {
            name: "x".to_owned(),
            unit: "us",
            base_name: "relay",
            base: vec![10.0, 20.0, 10.0],
            ours: vec![15.0, 32.0, 20.0],
            compared: Compared::Ratio,
            goal: Some(1.8),
        };
        assert_eq!(figure.comparison(), Some(Spread { median: 1.6, least: 1.5, most: 2.0 }));
        assert_eq!(figure.reached(), Some(true));
        figure.compared = Compared::Difference;
        assert_eq!(figure.comparison().map(|spread| spread.median), Some(10.0));
        assert_eq!(figure.reached(), Some(false));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of(&[]), None);
    }
}
