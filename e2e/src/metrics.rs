//! Reading Prometheus's text format.

/// The sum of all series of a metric whose labels contain each of these texts, such as `outcome="answered"`.
#[must_use]
pub fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let series = text.lines().filter(of_name).filter(|line| labels.iter().all(|label| line.contains(label)));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
