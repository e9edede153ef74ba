//! What a chart shows, apart from how it is drawn.

use super::scale::Scale;

/// One chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// above it
    pub(super) title: String,
    /// under the horizontal axis
    pub(super) x_name: &'static str,
    /// over the vertical axis, with its unit
    pub(super) y_name: &'static str,
    /// horizontal axis
    pub(super) x: X,
    /// vertical axis
    pub(super) y: Scale,
    /// lines, the first below the others
    pub(super) series: Vec<Series>,
    /// horizontal lines to compare with
    pub(super) marks: Vec<Mark>,
}

/// A horizontal axis.
#[derive(Clone, Debug)]
pub(super) enum X {
    /// evenly spaced names
    Names(Vec<String>),
    /// 1 to this many
    Numbers(usize),
}

impl X {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Names(names) => names.len(),
            Self::Numbers(count) => *count,
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// which colour, dash and marker
    pub(super) style: usize,
    /// in the tooltip
    pub(super) name: String,
    /// index on the horizontal axis, value
    pub(super) points: Vec<(usize, f64)>,
}

/// A value to compare with.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) value: f64,
    pub(super) name: String,
}

impl Series {
    /// At most `room` points: of neighbours the largest stays, so that no stall is lost.
    pub(super) fn thinned(&self, room: usize) -> Vec<(usize, f64)> {
        if self.points.len() <= room {
            return self.points.clone();
        }
        let largest =
            |points: &[(usize, f64)]| points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        self.points.chunks(self.points.len().div_ceil(room)).filter_map(largest).collect()
    }
}

/// The values of all lines.
pub(super) fn values(series: &[Series]) -> impl Iterator<Item = f64> + '_ {
    series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_stall() {
        let mut points: Vec<(usize, f64)> = (0..3000).map(|n| (n, 34.0)).collect();
        points[1234].1 = 900.0;
        let series = Series { style: 0, name: String::new(), points };
        let thin = series.thinned(400);
        assert!(thin.len() <= 400);
        assert!(thin.contains(&(1234, 900.0)));
        assert_eq!(series.thinned(3000).len(), 3000);
    }
}
