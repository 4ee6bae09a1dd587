//! Small pieces that several services write alike.

use jiff::Timestamp;

/// `2017-08-05T00:41:02.669Z`
pub(super) fn milliseconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A number from 0 to below 1 that depends on `seed` and `n` alone (SplitMix64).
pub(super) fn chance(seed: u64, n: u64) -> f64 {
    let mut mixed = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let part = ((mixed ^ (mixed >> 31)) >> 11) as f64;
    part / 9_007_199_254_740_992.0
}

/// Whether the `n`-th of many (from 1) is among the `share` that is meant: by chance if there is a seed, else spread evenly.
pub(crate) fn is_meant(share: Option<f64>, seed: Option<u64>, n: u64) -> bool {
    let share = share.unwrap_or(1.0);
    match seed {
        Some(seed) => chance(seed, n) < share,
        None => {
            #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 calls")]
            let meant = |n: u64| (n as f64 * share).floor();
            meant(n) > meant(n - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_share_is_about_that_share_and_always_the_same() {
        let run = |seed| -> Vec<bool> { (1..=1000).map(|n| is_meant(Some(0.5), Some(seed), n)).collect() };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let meant = run(7).into_iter().filter(|meant| *meant).count();
        assert!((430..570).contains(&meant), "{meant}");
    }
}
