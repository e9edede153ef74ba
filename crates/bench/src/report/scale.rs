//! From values to places on an axis, and the ticks between.

/// A vertical axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Scale {
    /// From 0 to a little above the largest.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let high = values.filter(|v| v.is_finite()).fold(0.0, f64::max);
        Self::linear(0.0, if high > 0.0 { high * 1.05 } else { 1.0 })
    }

    /// Around the values and `anchor`, with at least `room` in all.
    pub(super) fn around(values: impl Iterator<Item = f64>, anchor: f64, room: f64) -> Self {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((anchor, anchor), |(low, high), v| (low.min(v), high.max(v)));
        let missing = (room - (high - low)).max(0.0);
        let margin = (high - low) * 0.05;
        Self::linear(low - missing * 0.7 - margin, high + missing * 0.3 + margin)
    }

    /// Powers of ten around the values; those not above 0 have no place on it.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|v| v.is_finite() && *v > 0.0)
            .fold((f64::MAX, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        if high <= 0.0 {
            return Self::linear(0.0, 1.0);
        }
        let (low, high) = (low.log10().floor(), (high * 1.02).log10().ceil());
        let high = if high <= low { low + 1.0 } else { high };
        let (decades, marks): (f64, &[f64]) = match high - low {
            n if n <= 1.0 => (1.0, &[1.0, 2.0, 3.0, 5.0]),
            n if n <= 3.0 => (1.0, &[1.0, 3.0]),
            n => ((n / 6.0).ceil(), &[1.0]),
        };
        let powers = (0..).map(|n| low + f64::from(n) * decades).take_while(|&p| p <= high);
        let ticks = powers.flat_map(|p| marks.iter().map(move |m| m * 10_f64.powf(p)));
        let (low, high) = (10_f64.powf(low), 10_f64.powf(high));
        Self { low, high, logarithmic: true, ticks: ticks.filter(|&t| t <= high * 1.001).collect() }
    }

    /// 0 at the lower end, 1 at the upper.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// `value` is within the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    fn linear(low: f64, high: f64) -> Self {
        let step = step((high - low) / 5.0);
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let count = (last - first) as usize + 1;
        let ticks = (0..count).map(|n| (first + n as f64) * step).collect();
        Self { low, high, logarithmic: false, ticks }
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A tick's label: no digit that says nothing.
pub(super) fn label(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 10_000.0 => crate::text::grouped(value),
        v => {
            let digits = if v >= 100.0 { 0 } else { 3 };
            let text = format!("{value:.digits$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let scale = Scale::from_zero([618.0, 533.0].into_iter());
        assert_eq!(scale.ticks(), [0.0, 200.0, 400.0, 600.0]);
        assert_eq!(scale.place(0.0), 0.0);
        let scale = Scale::around([0.85, 1.001].into_iter(), 1.0, 0.05);
        assert!(scale.ticks().iter().all(|&t| scale.holds(t)));
        let scale = Scale::logarithmic([3.0, 900.0].into_iter());
        assert_eq!(scale.ticks().len(), 7);
        assert!((scale.place(1.0), scale.place(1000.0)) == (0.0, 1.0));
    }

    #[test]
    fn an_empty_chart_has_an_axis() {
        for scale in [
            Scale::from_zero([].into_iter()),
            Scale::from_zero([f64::NAN, 0.0].into_iter()),
            Scale::logarithmic([0.0, -1.0].into_iter()),
            Scale::logarithmic([7.0].into_iter()),
            Scale::around([].into_iter(), 1.0, 0.1),
        ] {
            assert!(!scale.ticks().is_empty() && scale.ticks().len() < 12, "{scale:?}");
        }
    }

    #[test]
    fn labels() {
        let values = [0.0, 0.95, 1.0, 40.0, 42.5, 618.0, 9000.0, 100_000.0];
        assert_eq!(values.map(label), ["0", "0.95", "1", "40", "42.5", "618", "9000", "100 000"]);
    }

    proptest::proptest! {
        #[test]
        fn any_values_have_few_ticks(values in proptest::collection::vec(1e-6..1e12_f64, 1..20)) {
            for scale in [
                Scale::from_zero(values.iter().copied()),
                Scale::around(values.iter().copied(), 1.0, 0.05),
                Scale::logarithmic(values.iter().copied()),
            ] {
                proptest::prop_assert!((1..=12).contains(&scale.ticks().len()), "{:?}", scale);
                for &value in &values {
                    proptest::prop_assert!((0.0..=1.0).contains(&scale.place(value)));
                }
            }
        }
    }
}
