"""What ns1-python, NS1's own client, makes of the simulated NS1: python ns1_client.py ENDPOINT KEY SCENARIO [FILE].

The client is as it comes from PyPI, and speaks HTTPS; REQUESTS_CA_BUNDLE says whom it trusts. Each scenario stops at the
first surprise; what a caller wants to know is printed as one JSON value.
"""

import json
import sys
import time

import ns1
from ns1.rest.errors import AuthException, RateLimitException, ResourceException
from ns1.rest.zones import Zones


def client(key, **settings):
    config = ns1.Config()
    config.createFromAPIKey(key)
    config["endpoint"], config["port"] = ENDPOINT.split(":")
    for name, value in settings.items():
        config[name] = value
    return ns1.NS1(config=config)


def refused(call, *arguments, **members):
    """The message and the status of the error that a call must end in."""
    try:
        call(*arguments, **members)
    except ResourceException as error:
        return error.message, error.response.status_code
    raise AssertionError(f"{call} {arguments} was taken")


def equal(found, expected):
    assert found == expected, f"found    {found!r}\nexpected {expected!r}"


def send(api, verb, path, **members):
    """A request past the client's methods, through its transport."""
    return api.zones()._make_request(verb, path, **members)


def zones():
    api = client(KEY)
    equal(api.zones().list(), [])
    began = int(time.time())
    zone = api.createZone("unit.test", nx_ttl=600, hostmaster="dns@unit.test")
    equal((zone["zone"], zone["nx_ttl"], zone["ttl"], zone["dnssec"]), ("unit.test", 600, 3600, False))
    assert zone["serial"] >= began, zone["serial"]
    loaded = api.loadZone("unit.test")
    equal([row["type"] for row in loaded["records"]], ["NS"])
    equal(loaded["dns_servers"], ["dns1.p01.nsone.net", "dns2.p01.nsone.net"])
    before = loaded["serial"]
    loaded.update(retry=900)
    equal(api.loadZone("unit.test")["retry"], 900)
    assert loaded["serial"] > before
    assert api.zones().update("unit.test", dnssec=True)["dnssec"] is True
    rows = api.loadZone("unit.test")["records"]
    equal(sorted(row["type"] for row in rows), ["DNSKEY", "NS", "RRSIG"])
    equal([zone["zone"] for zone in api.zones().list()], ["unit.test"])
    # Linked zones and versions go through the same transport.
    version = api.zones().create_version("unit.test")
    api.zones().create_version("unit.test", force=True)
    api.zones().activate_version("unit.test", version["id"])
    equal([one["active"] for one in api.zones().list_versions("unit.test")], [True, False])
    api.zones().delete_version("unit.test", 2)
    loaded.delete()
    equal(refused(api.loadZone, "unit.test"), ("server error: zone not found", 404))


def records():
    api = client(KEY)
    zone = api.createZone("unit.test")
    zone.add_A("www", "192.0.2.1", ttl=300)
    zone.add_AAAA("www", ["2001:db8::1", "2001:db8::2"])
    zone.add_MX("unit.test", [[10, "mx1.unit.test."], [20, "mx2.unit.test."]])
    zone.add_TXT("unit.test", 'v=spf1 include:"x" -all; \\ end')
    zone.add_CAA("unit.test", [[0, "issue", "ca.test; validationmethods=dns-01"]])
    zone.add_SRV("_sip._tcp", [[1, 2, 5060, "sip.unit.test."]])
    zone.add_NAPTR("unit.test", [[100, 10, "U", "E2U+sip", "!^.*$!sip:a@unit.test!", "."]])
    zone.add_CNAME("alias", "www.unit.test")
    zone.add_DS("sub", [[1, 13, 2, "ab" * 32]])
    zone.add_TLSA("_443._tcp", [[3, 1, 1, "cd" * 32]])
    zone.add_HTTPS("unit.test", [["1", ".", "alpn=h2,h3"]])
    zone.add_CDS("unit.test", [[1, 13, 2, "ef" * 32]])
    zone.add_ALIAS("top", "elsewhere.test")
    short = {
        (row["domain"], row["type"]): row["short_answers"] for row in api.loadZone("unit.test")["records"]
    }
    equal(short["www.unit.test", "A"], ["192.0.2.1"])
    equal(short["unit.test", "MX"], ["10 mx1.unit.test.", "20 mx2.unit.test."])
    equal(short["unit.test", "TXT"], ['v=spf1 include:"x" -all; \\ end'])
    equal(short["unit.test", "CAA"], ["0 issue ca.test; validationmethods=dns-01"])
    record = zone.loadRecord("www", "A")
    equal((record["ttl"], record["tier"], record["answers"][0]["answer"]), (300, 1, ["192.0.2.1"]))
    record.addAnswers(["192.0.2.2"])
    equal([one["answer"] for one in zone.loadRecord("www", "A")["answers"]], [["192.0.2.1"], ["192.0.2.2"]])
    record.update(ttl=60, filters=[{"up": {}}])
    equal(zone.loadRecord("www", "A")["tier"], 3)
    clone = zone.cloneRecord("www", "www2", "A")
    equal((clone["domain"], clone["ttl"]), ("www2.unit.test", 60))
    record.delete()
    equal(refused(zone.loadRecord, "www", "A"), ("server error: record not found", 404))
    # Low level, as other tools use it.
    api.records().create("unit.test", "low.unit.test", "A", answers=["192.0.2.9"], use_csubnet=False)
    equal(api.records().retrieve("unit.test", "low.unit.test", "A")["use_client_subnet"], False)
    api.records().update("unit.test", "low.unit.test", "A", answers=[{"answer": ["192.0.2.10"]}])
    api.records().delete("unit.test", "low.unit.test", "A")


def errors():
    api = client(KEY)
    try:
        client("wrong").zones().list()
        raise AssertionError("a wrong key was taken")
    except AuthException as error:
        equal(error.response.status_code, 401)
    zone = api.createZone("unit.test")
    equal(refused(api.createZone, "unit.test"), ("server error: zone already exists", 409))
    zone.add_A("www", "192.0.2.1")
    equal(refused(zone.add_A, "www", "192.0.2.1"), ("server error: record already exists", 409))
    for rtype in ["NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "RRSIG"]:
        wanted = ("server error: Operation on DNSSEC record is not allowed", 405)
        equal(refused(getattr(zone, f"add_{rtype}"), "unit.test", [["x"]]), wanted)
    equal(
        refused(zone.add_ALIAS, "self", "self.unit.test"),
        ("server error: ALIAS records must not reference themselves", 400),
    )
    message, status = refused(send, api, "POST", "zones/unit.test/www.unit.test/A", body={"filters": None})
    equal(status, 400)
    assert "Value None for field '<obj>.filters' is not of type array" in message, message
    for path in ["zones/unit.test/dnssec", "zones/none.test/dnssec"]:
        message, status = refused(send, api, "GET", path)
        equal(status, 404)
    equal(refused(zone.add_A, "bad", "192.0.2")[1], 400)
    equal(refused(zone.add_A, "www.unit.test", "192.0.2.1")[1], 409)
    equal(refused(send, api, "PUT", "networks", body={})[1], 405)


def files():
    api = client(KEY)
    zone = api.createZone("example", zoneFile=FILE)
    equal(zone["zone"], "example")
    text = zone.export(poll_interval=0.05)
    again = api.createZone("again.test")
    assert "SOA" in again.export(poll_interval=0.05)
    message, status = refused(api.zones().get_zonefile_export, "none.test")
    equal((message, status), ("server error: zone not found", 404))
    print(json.dumps(text))


def pages():
    api = client(KEY, follow_pagination=True)
    zone = api.createZone("large.test", zoneFile=FILE)
    rows = api.loadZone("large.test")["records"]
    names = [row["domain"] for row in rows if row["type"] == "A"]
    equal((len(names), len(set(names))), (2600, 2600))
    first = client(KEY).loadZone("large.test")["records"]
    equal(len(first), 2500)
    for number in range(7):
        api.createZone(f"z{number}.test")
    send(api, "GET", "zones", params={"limit": 3})
    equal(len(client(KEY).zones().list()), 8)
    page = api.zones()._make_request("GET", "zones", params={"limit": 3})
    equal(len(page), 3)


def rates():
    seen = []
    api = client(KEY)
    transport = api.zones()
    transport._transport._rate_limit_func = seen.append
    transport.list()
    equal(seen[-1], {"by": "customer", "limit": 5, "period": 10, "remaining": 4})
    try:
        for _ in range(6):
            transport.list()
        raise AssertionError("there was no limit")
    except RateLimitException as error:
        equal((error.by, error.limit, error.period, error.remaining), ("customer", 5, 10, 0))
        equal(error.response.status_code, 429)


def keys():
    """Gives our two keys to NS1 as a set, and prints what it says of its own."""
    api = client(KEY)
    data = [
        {"flags": flags, "protocol": 3, "algorithm": 13, "public_key": public}
        for flags, public in json.loads(FILE)
    ]
    body = {"dnskey": {"ttl": 3600, "data": data}}
    path = "zones/example/dnssec/external_keys"
    send(api, "PUT", f"{path}/ours", body=body)
    equal(refused(send, api, "GET", "zones/example/dnssec"), ("server error: DNSSEC is not enabled on the zone", 404))
    api.zones().update("example", dnssec=True)
    equal(send(api, "GET", path), {"ours": body})
    equal(refused(send, api, "PUT", f"{path}/ours", body=body)[1], 409)
    send(api, "POST", f"{path}/ours", body=body)
    send(api, "PUT", f"{path}/theirs", body={"dnskey": {"ttl": 60, "data": data[:1]}})
    equal(sorted(send(api, "GET", path)), ["ours", "theirs"])
    equal(send(api, "DELETE", f"{path}/theirs"), None)
    record = api.loadRecord("example", "DNSKEY", zone="example")
    equal(len(record.answers), 2 + len(data))
    print(json.dumps(send(api, "GET", "zones/example/dnssec")))


def tsig():
    api = client(KEY)
    equal(api.tsig().list(), [])
    api.tsig().create("transfer", "hmac-sha256", "c2VjcmV0")
    equal(api.tsig().retrieve("transfer")["secret"], "c2VjcmV0")
    equal(refused(api.tsig().create, "transfer", "hmac-sha256", "c2VjcmV0")[1], 409)
    api.tsig().update("transfer", algorithm="hmac-sha512")
    equal(api.tsig().list(), [{"name": "transfer", "algorithm": "hmac-sha512", "secret": "c2VjcmV0"}])
    api.tsig().delete("transfer")
    equal(refused(api.tsig().retrieve, "transfer")[1], 404)
    equal(send(api, "GET", "networks")[0]["network_id"], 0)


def request():
    verb, path, body = json.loads(FILE)
    print(json.dumps(send(client(KEY), verb, path, body=body)))


ENDPOINT, KEY, SCENARIO = sys.argv[1:4]
FILE = sys.argv[4] if len(sys.argv) > 4 else None
globals()[SCENARIO]()
