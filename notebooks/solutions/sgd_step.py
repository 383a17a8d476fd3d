"""A step of SGD with momentum and weight decay."""


def sgd_step(weight, gradient, velocity, lr, momentum, weight_decay):
    new_velocity = momentum * velocity + gradient + weight_decay * weight
    return weight - lr * new_velocity, new_velocity
