use serde::Serialize;

/// A median and the least and most around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// the middle value; of an even number the mean of the middle two
    pub median: f64,
    /// the least
    pub min: f64,
    /// the most
    pub max: f64,
}

impl Spread {
    /// `None` of no values.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            values[middle - 1].midpoint(values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// The middle and the end of a distribution, nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tail {
    /// half are no longer
    pub p50: f64,
    /// 99 of 100 are no longer
    pub p99: f64,
    /// the longest
    pub max: f64,
}

/// Milliseconds of nanoseconds; `None` of none.
pub(super) fn tail(mut ns: Vec<u64>) -> Option<Tail> {
    ns.sort_unstable();
    let last = ns.len().checked_sub(1)?;
    let rank = |percent: usize| ns[(ns.len() * percent).div_ceil(100).saturating_sub(1).min(last)];
    let ms = |ns: u64| ns as f64 / 1e6;
    Some(Tail { p50: ms(rank(50)), p99: ms(rank(99)), max: ms(ns[last]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        let even = Spread::of([4.0, 1.0, 2.0, 3.0].into_iter());
        assert_eq!(even, Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
    }

    #[test]
    fn tails_are_nearest_ranks() {
        assert_eq!(tail(Vec::new()), None);
        let ms = |ms: u64| ms * 1_000_000;
        assert_eq!(tail(vec![ms(7)]), Some(Tail { p50: 7.0, p99: 7.0, max: 7.0 }));
        let hundred = tail((1..=100).rev().map(ms).collect());
        assert_eq!(hundred, Some(Tail { p50: 50.0, p99: 99.0, max: 100.0 }));
    }

    proptest::proptest! {
        #[test]
        fn a_median_lies_between_its_ends(
            values in proptest::collection::vec(-1e9..1e9_f64, 1..50)
        ) {
            let spread = Spread::of(values.into_iter()).unwrap();
            proptest::prop_assert!(spread.min <= spread.median && spread.median <= spread.max);
        }
    }
}
