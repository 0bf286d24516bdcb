//! CSYNC as a parent takes it (RFC 7477 §3): one record that it may follow at once, and that it can validate. The serial
//! in it says nothing, and may be another one everywhere (RFC 9975 §3).

use super::{
    Answered,
    read::{Reading, Seen, authoritative, odd},
};
use crate::{
    dnssec::{csync::Csync, validate::signed_by},
    multisigner::safety::{ProviderId, Value},
    wire::RrType,
};

impl Reading<'_> {
    /// What a server has the parent take.
    pub fn csync(&self, provider: ProviderId, server: &Answered) -> Seen {
        let rdata = match self.rdatas(server, RrType::CSYNC)?[..] {
            [] => return Ok(Value::Csync(provider, None)),
            [rdata] => rdata,
            _ => return odd("it has several CSYNC records, and a parent follows none then (RFC 7477 §2)"),
        };
        let csync = match Csync::from_rdata(rdata) {
            Ok(csync) => csync,
            Err(why) => return odd(format!("its CSYNC record {why}")),
        };
        let (keys, _) = self.believed(server)?;
        let answers = &authoritative(server, RrType::CSYNC)?.answers;
        let zone = &self.survey.zone;
        let signed = signed_by(answers, Some(zone), RrType::CSYNC, zone, &keys, self.survey.at);
        if signed.is_none_or(|signed| signed.keys.is_empty()) {
            return odd("its CSYNC record has no good signature by a key of its DNSKEY RRset");
        }
        Ok(Value::Csync(provider, Some(csync)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            cds::tests::{made, signed},
            tests::*,
        },
        *,
    };
    use crate::{
        dnssec::key::{SEP, SigningKey},
        multisigner::{execute::Shown, safety::Slot},
    };

    fn shown(rdatas: Vec<Vec<u8>>, signers: &[&SigningKey], keys: [&SigningKey; 2]) -> Shown {
        let dnskeys = keys.map(|key| key.dnskey().rdata().to_vec()).to_vec();
        let answers = [
            (RrType::DNSKEY, signed(RrType::DNSKEY, dnskeys, &keys[..1])),
            (RrType::CSYNC, signed(RrType::CSYNC, rdatas, signers)),
        ];
        let survey = survey(&answers, &[]);
        let events = register(keys[0].dnskey());
        let view = view(&survey, &events);
        view.slots[&Slot::Csync(ProviderId::FIRST)][0].shown.clone()
    }

    #[test]
    fn one_record_that_a_parent_follows_at_once_by_any_key_of_the_set() {
        let (ksk, zsk, stranger) = (made(SEP), made(0), made(0));
        let keys = [&*ksk, &*zsk];
        for addresses in [false, true] {
            let csync = Csync { addresses };
            let mut other_serial = csync.rdata();
            other_serial[3] = 7;
            for (rdata, signer) in [(csync.rdata(), &zsk), (csync.rdata(), &ksk), (other_serial, &zsk)] {
                let shown = shown(vec![rdata], &[signer], keys);
                assert!(
                    matches!(shown, Shown::Value(Value::Csync(_, Some(found))) if found == csync),
                    "{shown:?}"
                );
            }
        }
        let none = shown(Vec::new(), &[], keys);
        assert!(matches!(none, Shown::Value(Value::Csync(_, None))), "{none:?}");

        let good = Csync { addresses: false }.rdata();
        is_odd(
            &shown(vec![good.clone()], &[&stranger], keys),
            "no good signature",
        );
        is_odd(&shown(vec![good.clone()], &[], keys), "no good signature");
        let both = vec![good.clone(), Csync { addresses: true }.rdata()];
        is_odd(&shown(both, &[&zsk], keys), "several");
        let mut waits = good;
        waits[5] = 0;
        is_odd(&shown(vec![waits], &[&zsk], keys), "immediate");
    }
}
