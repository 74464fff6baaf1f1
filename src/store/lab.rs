//! A store that behaves like a distant one, for measurements and tests: `sim+` before a URL, and
//! at its end how long requests take and how often they fail.
//!
//! `sim+file:///srv/lab?put=65ms,300ms&get=15ms,80ms&error=0.05&lose=0.05&seed=7`: half of the puts
//! within 65 ms, all but one in a hundred within 300 ms; one write in twenty is answered with an
//! error that proves nothing, another one is done and never answered.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use url::Url;

use super::connect::{BadPlace, Place};
use super::faulty::{FaultyStore, Latency, Weather};

const MARK: &str = "sim+";

/// How the store behaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lab {
    weather: Weather,
    seed: u64,
}

impl Lab {
    /// What the URL asks for, if it asks; it is left without.
    pub(super) fn of(url: &mut Url) -> Result<Option<Self>, BadPlace> {
        let Some(rest) = url.as_str().strip_prefix(MARK) else { return Ok(None) };
        let mut inner = Url::parse(rest)
            .map_err(|error| BadPlace::new(format!("what follows {MARK} is not a URL: {error}")))?;
        let mut lab = Self { weather: Weather::CALM, seed: 1 };
        let mut others = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "put" => lab.weather.writes = latency(&value)?,
                "get" => lab.weather.reads = latency(&value)?,
                "error" => lab.weather.errors = part(&name, &value)?,
                "lose" => lab.weather.lost = part(&name, &value)?,
                "seed" => lab.seed = value.parse().map_err(|_| bad(&name, &value, "7"))?,
                _ => others.push((name.into_owned(), value.into_owned())),
            }
        }
        inner.set_query(None);
        if !others.is_empty() {
            inner.query_pairs_mut().extend_pairs(others);
        }
        *url = inner;
        Ok(Some(lab))
    }

    /// The same place, further away.
    pub(super) fn around(self, place: Place) -> Place {
        let Self { weather, seed } = self;
        // The client for parts sends again by itself what is lost on the way.
        let reliable = Weather { errors: 0.0, lost: 0.0, ..weather.clone() };
        let far = |near: Arc<dyn ObjectStore>, weather| -> Arc<dyn ObjectStore> {
            Arc::new(FaultyStore::new(near, seed, weather))
        };
        let (objects, parts) = (far(place.objects, weather), far(place.parts, reliable));
        Place { objects, parts, ..place }
    }
}

fn latency(text: &str) -> Result<Latency, BadPlace> {
    let (half, hundredth) = text.split_once(',').unwrap_or((text, text));
    let parse = |text: &str| humantime::parse_duration(text).ok();
    match (parse(half), parse(hundredth)) {
        (Some(half), Some(hundredth)) if half <= hundredth && half > Duration::ZERO => {
            Ok(Latency::Percentiles { half, hundredth })
        }
        _ => Err(bad("put, get", text, "65ms,300ms")),
    }
}

fn part(name: &str, text: &str) -> Result<f64, BadPlace> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| bad(name, text, "0.05"))
}

fn bad(name: &str, text: &str, example: &str) -> BadPlace {
    BadPlace::new(format!("{MARK}: {name} cannot be `{text}`: write for example {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> (Result<Option<Lab>, BadPlace>, String) {
        let mut url = Url::parse(url).unwrap();
        (Lab::of(&mut url), url.into())
    }

    #[test]
    fn a_url_says_how_far_away_the_store_is() {
        let (lab, rest) = of("sim+file:///srv/lab?put=65ms,300ms&error=0.05&seed=7&region=x");
        let lab = lab.unwrap().unwrap();
        assert_eq!(rest, "file:///srv/lab?region=x");
        assert_eq!((lab.seed, lab.weather.errors, lab.weather.lost), (7, 0.05, 0.0));
        let (half, hundredth) = (Duration::from_millis(65), Duration::from_millis(300));
        assert_eq!(lab.weather.writes, Latency::Percentiles { half, hundredth });
        assert_eq!(of("file:///srv/lab").0, Ok(None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for query in ["put=soon", "put=9ms,3ms", "lose=2", "seed=x"] {
            assert!(of(&format!("sim+file:///srv/lab?{query}")).0.is_err(), "{query}");
        }
    }
}
