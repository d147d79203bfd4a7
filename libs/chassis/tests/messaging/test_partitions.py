from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.messaging.partitions import partition_hash
from makegood_contracts.ids import new_id


@given(st.text(max_size=200))
def test_a_key_goes_where_every_other_client_would_put_it(key: str) -> None:
    assert partition_hash(key) == murmur2(key.encode()) & 0x7FFFFFFF


def test_so_do_ids() -> None:
    for _ in range(100):
        key = new_id()
        assert partition_hash(key) == murmur2(key.encode()) & 0x7FFFFFFF
