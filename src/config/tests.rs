//! What words after `-o` mean, and how wrong ones are refused.

use super::*;

fn refusal(text: &str) -> String {
    Config::parse([text]).expect_err(text).0
}

#[test]
fn nothing_said_is_a_replica_with_its_defaults() {
    let config = Config::parse([]).unwrap();
    let Role::Replica { settings, poll, cache, delivery } = config.role else {
        panic!("{config:?}")
    };
    assert_eq!(format!("{settings:?}"), format!("{:?}", replica::Settings::default()));
    assert_eq!((poll, cache, delivery), (None, None, None));
    assert_eq!(config.passthrough, Passthrough::Auto);
    assert_eq!(config.log, "info");
}

#[test]
fn a_primary_of_which_nothing_is_said_has_its_defaults() {
    let config = Config::parse(["primary"]).unwrap();
    let Role::Primary { settings, claim, .. } = config.role else { panic!("{config:?}") };
    assert_eq!(settings, primary::Settings::default());
    assert_eq!(claim, Claim::Continue);
}

#[test]
fn a_primary_hears_its_options() {
    let config = Config::parse(["primary,takeover,interval=0,sync", "backlog_full=block"]).unwrap();
    let Role::Primary { settings, claim, .. } = config.role else { panic!("{config:?}") };
    assert_eq!(claim, Claim::TakeOver);
    assert_eq!(settings.interval, Duration::ZERO);
    assert_eq!(settings.durability, Durability::InStore);
    assert_eq!(settings.backlog_full, BacklogFull::Block);
}

#[test]
fn both_roles_may_aim_at_a_lag_and_a_cost() {
    for role in ["primary", "replica"] {
        let text = format!("{role},max_lag=2s,budget=2.50,prices=/etc/prices.json");
        let Wishes { max_lag, budget, prices } = Config::parse([text.as_str()]).unwrap().wishes;
        assert_eq!((max_lag, budget), (Some(Duration::from_secs(2)), Some(2.5)));
        assert!(prices.is_some());
    }
    assert_eq!(Config::parse(["primary"]).unwrap().wishes, Wishes::default());
}

#[test]
fn the_stores_client_hears_its_settings() {
    let config = Config::parse(["store.region=eu-west-1,store.endpoint=http://h:9000"]).unwrap();
    assert_eq!(config.reach.store.get("endpoint").map(String::as_str), Some("http://h:9000"));
    let reach = Reach::parse(["store.region=eu-west-1,env_file=/etc/walfs"]).unwrap();
    assert_eq!(
        (reach.store, reach.env_file.is_some()),
        (BTreeMap::from([("region".into(), "eu-west-1".into())]), true)
    );
    assert!(Reach::parse(["interval=1s,primary"]).is_err());
    assert!(refusal("store.region").contains("needs a value"));
}

#[test]
fn words_of_fstab_are_accepted() {
    Config::parse(["defaults,_netdev,nofail,noauto,x-systemd.requires=network.target,rw,noatime"])
        .unwrap();
    Config::parse(["comment=anything goes", "user,nosuid,nodev", ""]).unwrap();
}

#[test]
fn the_later_word_wins() {
    let config = Config::parse(["primary,sync,interval=5s", "async,interval=2s"]).unwrap();
    let Role::Primary { settings, .. } = config.role else { panic!("{config:?}") };
    assert_eq!(settings.durability, Durability::Async);
    assert_eq!(settings.interval, Duration::from_secs(2));
}

#[test]
fn an_unknown_option_is_named_with_the_nearest_known_one() {
    let said = refusal("primary,intervall=1s");
    assert!(said.contains("`intervall`") && said.contains("`interval`"), "{said}");
    let said = refusal("zzzz");
    assert!(said.contains("`zzzz`") && !said.contains("did you mean"), "{said}");
}

#[test]
fn contradictions_are_refused() {
    for (text, word) in [
        ("primary,replica", "either"),
        ("takeover", "primary,takeover"),
        ("primary,ro", "contradicts"),
        ("interval=1s", "replica"),
        ("primary,cache_size=1G", "primary"),
    ] {
        assert!(refusal(text).contains(word), "{text}: {}", refusal(text));
    }
}

#[test]
fn bad_values_are_refused_with_an_example_of_a_good_one() {
    for (text, word) in [
        ("primary,interval=soon", "100ms"),
        ("primary,batch_max=big", "64M"),
        ("primary,batch_max=1", "at least"),
        ("primary,batch_max=1T", "at most"),
        ("max_lag=0", "more than 0"),
        ("budget=cheap", "US dollars"),
        ("budget=0", "US dollars"),
        ("passthrough=maybe", "auto or on or off"),
        ("cache=here", "absolute"),
        ("read_ahead=many", "number"),
        ("primary=yes", "no value"),
        ("layout", "layout=NAME"),
        ("layout=", "layout=NAME"),
    ] {
        assert!(refusal(text).contains(word), "{text}: {}", refusal(text));
    }
}

#[test]
fn every_option_appears_wherever_options_are_rendered() {
    for row in options::TABLE {
        assert!(render::help().contains(&row.usage()), "{}", row.name);
        assert!(render::markdown().contains(&row.usage().replace('|', "\\|")), "{}", row.name);
        assert!(render::roff().contains(&render::roff_escape(&row.usage())), "{}", row.name);
    }
}

#[test]
fn a_primary_may_ask_its_server_too() {
    let words = "primary,questdb=127.0.0.1:8812,questdb_password_file=/etc/password";
    let Role::Primary { server: Some(server), .. } = Config::parse([words]).unwrap().role else {
        panic!("there is a server")
    };
    assert_eq!(
        (server.host.as_str(), server.port, server.user.as_str()),
        ("127.0.0.1", 8812, "admin")
    );
    assert!(Config::parse(["primary,questdb=127.0.0.1:8812"]).is_err(), "as whom?");
    assert!(Config::parse(["primary,database=/db"]).is_err(), "nothing is delivered to a primary");
}
