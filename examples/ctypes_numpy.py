"""ctypes_numpy.py - libcm from Python without a compiler: ctypes and NumPy.

Prints the mean of one image and writes its pixels to numpy.npy.
usage: ctypes_numpy.py LIBCM.SO"""
import ctypes as c
import sys

import numpy as np


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("message", c.c_char * 1024)]


class Request(c.Structure):
    _fields_ = [("size", c.c_size_t), ("num", c.c_int64), ("first", c.c_int64),
                ("seed", c.c_int64), ("labels", c.POINTER(c.c_int64)),
                ("noise", c.POINTER(c.c_float)), ("draws", c.c_int64), ("as_float", c.c_int),
                ("progress", c.c_void_p), ("stop", c.c_void_p), ("user", c.c_void_p)]


class Images(c.Structure):
    _fields_ = [("size", c.c_size_t), ("n", c.c_int64), ("h", c.c_int), ("w", c.c_int),
                ("c", c.c_int), ("pixels", c.POINTER(c.c_uint8)),
                ("values", c.POINTER(c.c_float)), ("labels", c.POINTER(c.c_int64)),
                ("first", c.c_int64)]


Text = c.c_char * 512


class SampleParams(c.Structure):
    _fields_ = [("size", c.c_size_t), ("sampler", Text), ("steps", c.c_int64), ("ts", Text),
                ("sigmas", Text), ("s_churn", c.c_double), ("s_tmin", c.c_double),
                ("s_tmax", c.c_double), ("s_noise", c.c_double), ("num", c.c_int64),
                ("label", Text), ("seed", c.c_int64), ("first", c.c_int64), ("batch", c.c_int64),
                ("micro_batch", c.c_int64), ("dtype", Text), ("threads", c.c_int64)]


cm = c.CDLL(sys.argv[1])
cm.cm_sample_default_params.restype = SampleParams
cm.cm_request_default.restype = Request
error = Error()


def call(function, *arguments):
    if function(*arguments, c.byref(error)):
        sys.exit(error.message.decode())


model, sampler = c.c_void_p(), c.c_void_p()
images = c.POINTER(Images)()
params, request = cm.cm_sample_default_params(), cm.cm_request_default()
params.num = 1
request.seed = 7
label = np.array([3], dtype=np.int64)
request.labels = label.ctypes.data_as(c.POINTER(c.c_int64))
call(cm.cm_model_open, b"models/fashion-mnist-cd.safetensors", c.byref(model))
call(cm.cm_sampler_new, model, c.byref(params), c.byref(sampler))
call(cm.cm_sampler_run, sampler, c.byref(request), c.byref(images))
m = images.contents
pixels = np.ctypeslib.as_array(m.pixels, shape=(m.n, m.h, m.w, m.c)).copy()
print("mean %.2f" % pixels.mean())
np.save("numpy.npy", pixels)
cm.cm_images_free(images)
cm.cm_sampler_free(sampler)
cm.cm_model_free(model)
