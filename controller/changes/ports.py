from controller.northbound.ports import *  # noqa
