#!/usr/bin/env python3
# Made the plans beside it: `make.py FOLDER`. No program that writes plans is to be had from a package registry, so these are
# plans as the published planfile.proto says, packed by Python's zipfile as a stream (sizes behind the bytes), as the writer of the
# real ones does.
import zipfile, io, sys
def num(v):
    out=b''
    while v>0x7f: out+=bytes([v&0x7f|0x80]); v>>=7
    return out+bytes([v])
def fld(n,b): return num(n<<3|2)+num(len(b))+b
def i(n,v): return num(n<<3)+num(v)
def change(addr,action,private=b'{}'):
    ch=(i(1,action) if action else b'')+fld(2,fld(1,b'\x82\xa2id\xa3abc\xa4tags\xc0'))+fld(4,fld(1,fld(1,b'password')))
    return fld(3, fld(8,b'provider["registry.terraform.io/hashicorp/aws"]')+fld(9,ch)+fld(10,private)+fld(13,addr.encode()))
def plan(changes,more=b''):
    return i(1,3)+fld(2,fld(1,b'region')+fld(2,fld(1,b'\xa9eu-west-1')))+b''.join(changes)+fld(4,fld(1,b'url')+fld(2,i(1,1)))+fld(13,fld(1,b's3')+fld(2,fld(1,b'\x80'))+fld(3,b'default'))+fld(14,b'1.14.0')+more+fld(21,b'2026-11-22T03:14:00Z')
class Stream(io.RawIOBase):
    def __init__(s): s.b=bytearray()
    def writable(s): return True
    def write(s,d): s.b+=bytes(d); return len(d)
    def seekable(s): return False
def pack(path,tfplan,tf='resource "aws_db_instance" "orders" {\n  engine = "postgres"\n}\n',extra=()):
    st=Stream()
    with zipfile.ZipFile(st,'w',zipfile.ZIP_DEFLATED) as z:
        def put(n,d):
            zi=zipfile.ZipInfo(n,(2026,11,22,3,14,0)); zi.compress_type=zipfile.ZIP_DEFLATED
            z.writestr(zi,d)
        put('tfplan',tfplan); put('tfstate','{"version":4,"serial":7}'); put('tfstate-prev','{"version":4,"serial":6}')
        put('tfconfig/m-/main.tf',tf); put('tfconfig/modules.json','[{"Key":"","Dir":"."}]')
        put('.terraform.lock.hcl','# provider locks\n')
        for n,d in extra: put(n,d)
    open(path,'wb').write(st.b)
d=sys.argv[1]
pack(d+'/creates.tfplan',plan([change('aws_cloudwatch_metric_alarm.slow',1),change('aws_ecs_service.web',3),change('aws_vpc.main',0)]))
pack(d+'/destroys.tfplan',plan([change('aws_db_instance.orders',5),change('module.web["a"].aws_ecs_service.web',6),change('aws_vpc.main',0),change('aws_sns_topic.x',7)]))
pack(d+'/provisions.tfplan',plan([change('null_resource.x',1)]),tf='resource "null_resource" "x" {\n  provisioner "local-exec" {\n    command = "rm -rf /"\n  }\n}\n')
pack(d+'/twice.tfplan',plan([change('aws_ecs_service.web',3)]),extra=[('tfplan',plan([change('aws_db_instance.orders',5)]))])
