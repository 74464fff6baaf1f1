//! What requests cost at a mount's store, and what its own come to. List prices, or the operator's,
//! without traffic and storage: see [`crate::store::doctor::cost`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Wishes, options};
use crate::fuse::status::Cost;
use crate::store::doctor::cost::{PriceTable, Prices, kind};
use crate::store::{Aims, Budget};

use super::failure::{Exit, Failure};

/// A rate that is known after less than this says little.
const COUNTED_MIN: Duration = Duration::from_secs(60);

/// What requests cost at one store, and since when they are counted.
#[derive(Clone, Debug)]
pub struct Till {
    prices: Option<Prices>,
    as_of: String,
    since: Instant,
}

/// The prices in this file, or those that come with the program. `flag` is how the file was named.
pub fn table(flag: &str, file: Option<&Path>) -> Result<PriceTable, Failure> {
    let Some(file) = file else { return Ok(PriceTable::built_in()) };
    let bad = |why: String| Failure::new(Exit::Usage, format!("{flag} {}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    PriceTable::parse(&text).map_err(bad)
}

impl Till {
    /// For a mount of this URL, which begins now; and what it aims at.
    pub fn open(url: &str, wishes: &Wishes) -> Result<(Self, Aims), Failure> {
        let flag = format!("option {}:", options::PRICES.name);
        let table = table(&flag, wishes.prices.as_deref())?;
        let prices = table.of(url);
        let budget = match (wishes.budget, prices.filter(|prices| !prices.are_zero())) {
            (None, _) => None,
            (Some(dollars_per_month), Some(prices)) => Some(Budget { dollars_per_month, prices }),
            (Some(_), None) => return Err(unpriced(url, &table.as_of)),
        };
        let till = Self { prices, as_of: table.as_of, since: Instant::now() };
        Ok((till, Aims { max_lag: wishes.max_lag, budget }))
    }

    /// What these requests come to in a month; `None` where prices are not known, or the mount is
    /// too young.
    pub fn cost(&self, requests: &BTreeMap<String, u64>) -> Option<Cost> {
        let counted = Some(self.since.elapsed()).filter(|age| *age >= COUNTED_MIN)?;
        let dollars_per_month = self.prices?.per_month(requests, counted);
        Some(Cost { dollars_per_month, prices_as_of: self.as_of.clone() })
    }
}

fn unpriced(url: &str, as_of: &str) -> Failure {
    let (budget, prices) = (options::BUDGET.name, options::PRICES.usage());
    let kind = kind(url);
    Failure::new(
        Exit::Usage,
        format!(
            "option {budget}: requests to {kind}:// have no price in the table of {as_of}: leave \
             it out, or say with {prices} what `{kind}` costs"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(budget: f64, prices: Option<&Path>) -> Wishes {
        Wishes { budget: Some(budget), prices: prices.map(Path::to_owned), max_lag: None }
    }

    fn refusal(url: &str, wishes: &Wishes) -> String {
        format!("{:?}", Till::open(url, wishes).unwrap_err())
    }

    #[test]
    fn a_budget_needs_prices() {
        assert!(Till::open("s3://bucket/pg", &wishes(5.0, None)).unwrap().1.budget.is_some());
        for url in ["file:///srv/pg", "hdfs://node/pg", "sim+file:///srv/pg?put=9ms"] {
            let said = refusal(url, &wishes(5.0, None));
            assert!(said.contains("have no price") && said.contains("prices=FILE"), "{said}");
        }
    }

    #[test]
    fn prices_of_ones_own_count() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"{"as_of": "today", "stores": {"file": {"write": 2, "read": 1, "list": 0}}}"#;
        fs::write(file.path(), text).unwrap();
        let (till, aims) = Till::open("file:///x", &wishes(1.0, Some(file.path()))).unwrap();
        assert_eq!((till.as_of.as_str(), aims.budget.unwrap().prices.write), ("today", 2.0));
        assert_eq!(till.cost(&BTreeMap::new()), None, "too young");
        fs::write(file.path(), text.replace('2', "-2")).unwrap();
        let said = refusal("file:///x", &wishes(1.0, Some(file.path())));
        assert!(said.contains("zero or more"), "{said}");
    }
}
