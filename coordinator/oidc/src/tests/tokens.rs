//! Tokens, good ones and all others.

use super::*;
use crate::claims::MOST_GROUPS;

#[test]
fn a_good_token_says_who_and_in_which_groups() {
    let signer = Signer::new("one");
    let keys = keys(&[&signer.jwk()]);
    let subject = |more: Value| checked(&signer.sign(&claims(&more)), &keys, &expected(), NOW).unwrap();
    let alice = subject(json!({}));
    assert_eq!(alice.name, "oidc:https://issuer.example#alice");
    assert_eq!(alice.groups, groups(&["platform", "dev team"]));
    assert_eq!(alice.expires_at, (NOW + 60 + 30) * 1000);
    assert_eq!(subject(json!({"aud": ["other", "weir"]})), alice);
    assert_eq!(subject(json!({"groups": null})).groups, groups(&[]));
    assert_eq!(subject(json!({"groups": "platform"})).groups, groups(&["platform"]));
    assert_eq!(subject(json!({"exp": NOW as f64 + 60.5})), alice);
    // A group that nobody can give rights to.
    assert_eq!(subject(json!({"groups": ["", "ok", "größe", "a\nb", "x".repeat(257)]})).groups, groups(&["ok"]));
    // The clocks are half a minute apart at most.
    assert_eq!(subject(json!({"exp": NOW - 29})).expires_at, (NOW + 1) * 1000);
    subject(json!({"nbf": NOW + 30}));
    // No key is named: each is tried.
    let unnamed = signer.sign_with(&json!({"alg": "ES256"}), &claims(&json!({})));
    assert_eq!(checked(&unnamed, &keys, &expected(), NOW).unwrap(), alice);
    let by_mail = Expected { user: "email".into(), prefix: "corp".into(), ..expected() };
    let mail = claims(&json!({"email": "a@example.org", "email_verified": true}));
    let token = signer.sign(&mail);
    assert_eq!(checked(&token, &keys, &by_mail, NOW).unwrap().name, "oidc:corp#a@example.org");
}

#[test]
fn what_a_token_must_claim_and_does_not_is_said() {
    let signer = Signer::new("one");
    let keys = keys(&[&signer.jwk()]);
    for (more, says) in [
        (json!({"iss": "https://issuer.example/"}), "another issuer"),
        (json!({"iss": ["https://issuer.example"]}), "another issuer"),
        (json!({"iss": null}), "another issuer"),
        (json!({"aud": "other"}), "another audience"),
        (json!({"aud": ["other"]}), "another audience"),
        (json!({"aud": {"weir": 1}}), "another audience"),
        (json!({"aud": null}), "another audience"),
        (json!({"exp": null}), "does not say when it expires"),
        (json!({"exp": NOW - 30}), "has expired"),
        (json!({"exp": -1e300}), "has expired"),
        (json!({"exp": "4102444800"}), "'exp' of the token is no time"),
        (json!({"nbf": NOW + 31}), "not good yet"),
        (json!({"nbf": 1e300}), "not good yet"),
        (json!({"nbf": "0"}), "'nbf' of the token is no time"),
        (json!({"sub": null}), "'sub' of the token is no name"),
        (json!({"sub": 7}), "'sub' of the token is no name"),
        (json!({"sub": ""}), "'sub' of the token is no name"),
        (json!({"sub": "a b"}), "'sub' of the token is no name"),
        (json!({"sub": "a\nb"}), "'sub' of the token is no name"),
        (json!({"sub": "älice"}), "'sub' of the token is no name"),
        (json!({"sub": "x".repeat(257)}), "'sub' of the token is no name"),
        (json!({"groups": {"a": 1}}), "'groups' of the token is no list"),
        (json!({"groups": ["a", 1]}), "'groups' of the token is no list"),
    ] {
        let error = checked(&signer.sign(&claims(&more)), &keys, &expected(), NOW).unwrap_err();
        assert!(error.message.contains(says), "{more}: {}", error.message);
        assert_eq!(error.kind, weir_proto::client::ClientErrorKind::Unauthenticated);
    }
}

#[test]
fn an_address_that_nobody_has_verified_opens_nothing() {
    let signer = Signer::new("one");
    let keys = keys(&[&signer.jwk()]);
    let with = |verified: Value, expected: &Expected| {
        let claims = claims(&json!({"email": "a@example.org", "email_verified": verified}));
        checked(&signer.sign(&claims), &keys, expected, NOW)
    };
    let by_user = Expected { user: "email".into(), ..expected() };
    let by_group = Expected { groups: "email".into(), ..expected() };
    for unverified in [json!(false), json!("true"), json!(1)] {
        for expected in [&by_user, &by_group] {
            let error = with(unverified.clone(), expected).unwrap_err();
            assert!(error.message.contains("verified the token's e-mail address"), "{unverified}: {}", error.message);
        }
        with(unverified, &expected()).unwrap();
    }
    assert_eq!(with(json!(true), &by_group).unwrap().groups, groups(&["a@example.org"]));
    // An issuer that says nothing may let everybody write what they like there: it is a name, and no right.
    assert!(with(json!(null), &by_group).unwrap_err().message.contains("does not say that it has verified"));
    assert_eq!(with(json!(null), &by_user).unwrap().name, "oidc:https://issuer.example#a@example.org");
}

#[test]
fn groups_are_a_set_with_a_bound() {
    let signer = Signer::new("one");
    let keys = keys(&[&signer.jwk()]);
    let with =
        |groups: Vec<String>| checked(&signer.sign(&claims(&json!({ "groups": groups }))), &keys, &expected(), NOW);
    let many = |most: usize| (0..most).map(|number| format!("g{number}")).collect::<Vec<_>>();
    assert_eq!(with(vec!["a".into(); 500]).unwrap().groups, groups(&["a"]));
    let twice = [many(MOST_GROUPS), many(MOST_GROUPS)].concat();
    assert_eq!(with(twice).unwrap().groups.len(), MOST_GROUPS);
    let error = with(many(MOST_GROUPS + 1)).unwrap_err();
    assert_eq!(error.message, "the token names 201 groups, and may name 200");
}

#[test]
fn a_token_that_is_for_something_else_is_refused() {
    let signer = Signer::new("one");
    let keys = keys(&[&signer.jwk()]);
    let of_kind = |kind: Value| {
        let token = signer.sign_with(&json!({"alg": "ES256", "kid": "one", "typ": kind}), &claims(&json!({})));
        checked(&token, &keys, &expected(), NOW)
    };
    for kind in [json!(null), json!("JWT"), json!("jwt"), json!("at+jwt"), json!("application/at+jwt")] {
        assert!(of_kind(kind.clone()).is_ok(), "{kind}");
    }
    for kind in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE", "text/jwt", ""] {
        let error = of_kind(json!(kind)).unwrap_err();
        assert!(error.message.contains("of a kind that is not for logging in"), "{kind}: {}", error.message);
    }
    assert_eq!(of_kind(json!(["JWT"])).unwrap_err().message, "the token is no signed JWT");
    // Issuers that do not say the kind of their logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4).
    for events in [json!({"http://schemas.openid.net/event/backchannel-logout": {}}), json!([]), json!("x")] {
        let error = checked(&signer.sign(&claims(&json!({ "events": events }))), &keys, &expected(), NOW).unwrap_err();
        assert!(error.message.contains("reports events"), "{}", error.message);
    }
}

#[test]
fn what_is_not_signed_by_a_key_of_the_issuers_is_nothing() {
    let (signer, other) = (Signer::new("one"), Signer::new("two"));
    let keys = keys(&[&signer.jwk()]);
    let good = signer.sign(&claims(&json!({})));
    let error = |token: &str| checked(token, &keys, &expected(), NOW).unwrap_err().message;
    checked(&good, &keys, &expected(), NOW).unwrap();

    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let admin = encoded(claims(&json!({"sub": "root"})).to_string());
    assert_eq!(error(&format!("{header}.{admin}.{signature}")), "the token's signature is wrong");
    assert_eq!(error(&format!("{signed}.")), "the token's signature is wrong");
    assert_eq!(error(&format!("{signed}.{}", encoded([0; 64]))), "the token's signature is wrong");
    let pretends = other.sign_with(&json!({"alg": "ES256", "kid": "one"}), &claims(&json!({})));
    assert_eq!(error(&pretends), "the token's signature is wrong");
    assert_eq!(error(&other.sign(&claims(&json!({})))), "the token's signature is wrong");

    // Neither does it help to say another algorithm, nor to have the public key be the secret of an HMAC.
    let jwk = signer.jwk();
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, jwk["x"].as_str().unwrap().as_bytes());
    for alg in ["none", "None", "NONE", "HS256", "HS384", "HS512", "ES256K", "RSA-OAEP", ""] {
        let signed = format!("{}.{payload}", encoded(json!({"alg": alg, "kid": "one"}).to_string()));
        let mac = encoded(ring::hmac::sign(&secret, signed.as_bytes()));
        for signature in ["", signature, &mac] {
            let error = error(&format!("{signed}.{signature}"));
            assert!(error.contains("not signed by an algorithm with a public key"), "{alg}: {error}");
        }
    }
    for alg in ["RS256", "PS512", "ES384", "EdDSA"] {
        let token = signer.sign_with(&json!({"alg": alg, "kid": "one"}), &claims(&json!({})));
        assert_eq!(error(&token), "the token's signature is wrong", "{alg}");
    }
    let critical = json!({"alg": "ES256", "kid": "one", "crit": ["b64"], "b64": false});
    assert!(error(&signer.sign_with(&critical, &claims(&json!({})))).contains("must be understood"));

    // What is no token at all.
    let array = encoded("[]");
    for wrong in ["", "..", "a.b.c", &format!("{header}.{payload}"), &format!("{header}.{array}.{signature}")] {
        assert_eq!(error(wrong), "the token is no signed JWT", "{wrong}");
    }
    let twice = format!("{}.{payload}.{signature}", encoded(r#"{"alg":"ES256","alg":"none","kid":"one"}"#));
    assert_eq!(error(&twice), "the token is no signed JWT");
    let padded = format!("{header}=.{payload}.{signature}");
    assert_eq!(error(&padded), "the token is no signed JWT");
    let deep = format!("{header}.{}.{signature}", encoded(format!("{{\"iss\":{}1", "[".repeat(5000))));
    assert_eq!(error(&deep), "the token is no signed JWT");
}

#[test]
fn a_key_is_good_for_what_it_is_for() {
    let signer = Signer::new("one");
    let token = signer.sign(&claims(&json!({})));
    let is_good = |more: Value| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // Beside another one, since a set without any key is an error of its own.
        checked(&token, &keys(&[&jwk, &ed25519().1]), &expected(), NOW).is_ok()
    };
    assert!(is_good(json!({})) && is_good(json!({"alg": "ES256"})));
    for other in [
        json!({"use": "enc"}),
        json!({"alg": "ES384"}),
        json!({"alg": "HS256"}),
        json!({"kid": "two"}),
        json!({"kty": "oct"}),
        json!({"crv": "P-384"}),
        json!({"x": "AA"}),
        json!({"y": "no base64"}),
    ] {
        assert!(!is_good(other.clone()), "{other}");
    }
    let read = |text: &str| Keys::read(text.as_bytes()).map(|keys| keys.count());
    assert_eq!(read(&json!({"keys": [7, {}, {"kty": "oct", "k": "AA"}, signer.jwk()]}).to_string()), Ok(1));
    assert!(read(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#).unwrap_err().contains("none among them"));
    assert!(read("[]").unwrap_err().contains("no key set") && read("").unwrap_err().contains("no key set"));
}

#[test]
fn every_algorithm_agrees_with_another_implementation() {
    let (pair, jwk) = ed25519();
    let signed = format!("{}.{}", encoded(r#"{"alg":"EdDSA","kid":"ed"}"#), encoded(claims(&json!({})).to_string()));
    let token = format!("{signed}.{}", encoded(pair.sign(signed.as_bytes())));
    checked(&token, &keys(&[&jwk]), &expected(), NOW).unwrap();
    // Made with OpenSSL, by Node's `crypto`; the private keys are nowhere.
    let made: Value = serde_json::from_str(include_str!("openssl.json")).unwrap();
    let published = Keys::read(json!({ "keys": made["keys"] }).to_string().as_bytes()).unwrap();
    let tokens = made["tokens"].as_object().unwrap();
    assert_eq!(tokens.len(), 7);
    for (alg, token) in tokens {
        let token = token.as_str().unwrap();
        assert_eq!(checked(token, &published, &expected(), NOW).unwrap().name, "oidc:https://issuer.example#alice");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = crate::jws::decoded(signature).unwrap();
        signature[7] ^= 1;
        let error = checked(&format!("{signed}.{}", encoded(signature)), &published, &expected(), NOW).unwrap_err();
        assert_eq!(error.message, "the token's signature is wrong", "{alg}");
    }
    let short = checked(made["short"].as_str().unwrap(), &published, &expected(), NOW).unwrap_err();
    assert_eq!(short.message, "the token's signature is wrong", "a key of 1024 bits");
}
