//! Good and bad values of every kind.

use coordha::config::keys::Kind;

/// Values that the kind refuses, whatever the key. Between bars; the first one is the empty value where that is refused.
pub(crate) fn bad_values(kind: Kind) -> Vec<String> {
    let list = match kind {
        Kind::Bool => "|TRUE|True|1|0|yes|on|t|truefalse|trüe",
        Kind::Number { min, max } => {
            let words =
                "|abc|1.5|+5|007|-0|--5|-|1e3|0x10|5s|5 000|5,000|１２|٣|99999999999999999999|-99999999999999999999";
            let mut bad: Vec<String> = words.split('|').map(String::from).collect();
            bad.extend([min - 1, max + 1, i64::MIN, i64::MAX].map(|number| number.to_string()));
            return bad;
        }
        // Any text will do, but for what every kind refuses.
        Kind::Text | Kind::Secret | Kind::Path => return Vec::new(),
        Kind::Host => "a b|a..b|-a|a-|höst|http://a|a:1|[::1]|1.2.3|300.1.1.1",
        Kind::RoleName => {
            "|Rootcoord|1role|_role|role-1|role.x|role/x|rolé|角色|id|version|rootcoordx|rootcoord_2|datacoord2\
             |querycoord_b|indexcoords|mixcoord1|proxy|proxy2|datanode|datanodes|querynode|indexnode|streamingnode\
             |streamingnode_x|aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        }
        Kind::Address => {
            "|:|host|host:|:0|host:0|host:65536|host:99999999999|host:-1|host:+80|host:080|host:http|host:8０|::1:80\
             |fe80::1|[::1]|[::1]:|[::1]80|[::1|[]:80|[host]:80|[fe80::1%eth0]:80|http://host:80|a b:80|a/b:80|host:80/\
             |höst:80|a,b:80|user@host:80|0.0.0.0:80|[::]:80|224.0.0.1:80|1.2.3:80|256.1.1.1:80|-host:80|ho..st:80|.:80"
        }
        Kind::Root => "|/|///|.|..|a/../b|./a|a/.|/..",
        Kind::StoreUrl => {
            "|etcd|etcd:|etcd:/|etcd://|ETCD://a:1|etcd://,|etcd://a:1,|etcd://,a:1|etcd://a:1,,b:1|etcd://a:1, b:1\
             |etcd:// a:1|etcd://a:1;b:1|etcd://a:0|etcd://a:65536|etcd://a:|etcd://:2379|etcd://::1:2379|etcd://[::1\
             |etcd://a:1/|etcd://a:1/root|etcd://a:1?x=1|etcd://a:1#x|etcd://a:1,a:1|etcd://a,A:2379\
             |etcd://[::1],[0:0::1]:2379|etcd://http://a:1|http://a:1|https://a:1|a:1|localhost|local:|local://a\
             |local:///a|local: /a|file:/a|etcd://ä:1|etcd://u:p@a:1"
        }
        Kind::Version => "|2|2.5|v2.5.0|V2.5.0|2.5.0.1|02.5.0|2.5.x|2.5.0-|２.5.0|latest|99999999999999999999.0.0",
        Kind::LogFormat => "|Plain|MILVUS|json|zap|plain milvus",
        Kind::TlsVersion => "|1.0|1.1|1.4|1|TLS1.2|tlsv1.3|1.2 or 1.3",
        _ => panic!("no bad values for {kind:?}: add some"),
    };
    list.split('|').map(String::from).collect()
}

/// Values that the kind accepts, whatever the key, each with the form in which it is used.
pub(crate) fn good_values(kind: Kind) -> Vec<(String, String)> {
    let list = match kind {
        Kind::Bool => "true|false",
        Kind::Number { min, max } => {
            return [min, max, i64::midpoint(min, max)].map(|number| (number.to_string(), number.to_string())).into();
        }
        Kind::Text => "|root|jürgen|a b",
        Kind::Secret => "| s3cret! |密码",
        Kind::Path => "|/etc/coordha/ca.pem|schlüssel.pem",
        Kind::Host => "|etcd.svc.cluster.local|10.0.0.1|::1",
        Kind::RoleName => {
            "rootcoord|datacoord|querycoord|indexcoord|mixcoord|data|root|a|a_1|id_allocator|versions|prox\
             |aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        }
        Kind::Address => {
            "10.0.0.5:53100|:53100|localhost:1|127.0.0.1:65535|[::1]:80|[0:0::1]:80->[::1]:80\
             |root-coord_0.ns.svc.:22125|1a.b2:80"
        }
        Kind::Root => "by-dev/meta|a|a//b/->a/b|/by-dev//meta//->/by-dev/meta|wurzel/ü|a..b/.c",
        Kind::StoreUrl => {
            "etcd://localhost:2379|etcd://localhost->etcd://localhost:2379\
             |etcd://A.b:1,10.0.0.1,[::1],[2001:DB8::1]:22->etcd://a.b:1,10.0.0.1:2379,[::1]:2379,[2001:db8::1]:22\
             |local:/var/lib/coordha|local:data|local:/ordner/mit @ und ü"
        }
        Kind::Version => "2.5.0|2.2.3-pre+dev|0.0.0",
        Kind::TlsVersion => "1.2|1.3",
        Kind::LogFormat => "plain|milvus",
        _ => panic!("no good values for {kind:?}: add some"),
    };
    list.split('|')
        .map(|value| value.split_once("->").unwrap_or((value, value)))
        .map(|(value, used)| (value.to_owned(), used.to_owned()))
        .collect()
}
