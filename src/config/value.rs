//! Sizes, durations and money as people write them.

use std::time::Duration;

/// The largest duration that an option may have: longer ones are mistakes.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A size in bytes: a number, then nothing, `K`, `M`, `G`, `T`, each perhaps with `B` or `iB`.
/// All of them are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size: write for example 512K, 64M or 1GiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let unit = unit.trim().to_ascii_lowercase();
    let scale = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit.starts_with('i') => return Err(bad()),
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(scale).ok_or_else(bad)
}

/// A duration: `0`, or a number with a unit, as in `100ms`, `1s`, `2m 30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| format!("`{text}` is not a duration: write for example 1s, 100ms or 0"))
}

/// US dollars: a number above zero, as in `5` or `2.50`.
pub fn dollars(text: &str) -> Result<f64, String> {
    let number = text.strip_prefix('$').unwrap_or(text).parse().ok();
    number.filter(|number: &f64| number.is_finite() && *number > 0.0).ok_or_else(|| {
        format!("`{text}` is not an amount of US dollars: write for example 5 or 2.50")
    })
}

/// A number.
pub fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("4b", 4), ("64M", 64 << 20), ("1GiB", 1 << 30), ("2kb", 2048)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "M", "-1", "1.5G", "1X", "1iB", "99999999999T", "0x10", "1 0"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn money_is_more_than_nothing() {
        assert_eq!((dollars("5"), dollars("$2.50")), (Ok(5.0), Ok(2.5)));
        for text in ["", "0", "-1", "five", "inf", "NaN", "5 EUR"] {
            assert!(dollars(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for text in ["", "1", "ms", "-1s", "1 fortnight", "10years"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
